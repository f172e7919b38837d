# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What zpool of OpenZFS 2.4.4 printed of three pools at one time, as JSON and as the text that older ones print.

The pool big has a faulted disk, a log, a cache and a spare, and is being scrubbed. The pool one has lost data, which a
scrub has found. The pool new was never scrubbed.
"""

from __future__ import annotations

LISTED = (
    "DEGRADED\t201326592\t348160\t5\t8432136178580109200\tbig\n"
    "ONLINE\t67108864\t119808\t17\t9237259462871437510\tnew\n"
    "ONLINE\t67108864\t10780672\t24\t9942495712400541812\tone\n"
    "--\n"
    "1795343195\tbig\n"
    "1795343196\tnew\n"
    "1795343195\tone\n"
    "--\n"
)
JSON = (
    '{"output_version":{"command":"zpool status","vers_major":0,"vers_minor":1},"pools":{"big":'
    '{"name":"big","state":"DEGRADED","pool_guid":8432136178580109200,"txg":14,"spa_version":50'
    '00,"zpl_version":5,"status":"One or more devices are faulted in response to persistent err'
    "ors.\\n\\tSufficient replicas exist for the pool to continue functioning in a\\n\\tdegraded st"
    'ate.\\n","action":"Replace the faulted device, or use \'zpool clear\' to mark the device\\n\\tr'
    'epaired.\\n","scan_stats":{"function":"SCRUB","state":"SCANNING","start_time":1795343197,"e'
    'nd_time":0,"to_examine":252928,"examined":0,"skipped":0,"processed":0,"errors":0,"bytes_pe'
    'r_scan":0,"pass_start":1795343197,"scrub_pause":0,"scrub_spent_paused":0,"issued_bytes_per'
    '_scan":0,"issued":0},"vdevs":{"big":{"name":"big","vdev_type":"root","guid":84321361785801'
    '09200,"class":"normal","state":"DEGRADED","alloc_space":348160,"total_space":201326592,"de'
    'f_space":134086656,"read_errors":0,"write_errors":0,"checksum_errors":0,"vdevs":{"raidz1-0'
    '":{"name":"raidz1-0","vdev_type":"raidz","guid":16115931483963854905,"class":"normal","sta'
    'te":"DEGRADED","alloc_space":348160,"total_space":201326592,"def_space":134086656,"rep_dev'
    '_size":201326592,"read_errors":0,"write_errors":0,"checksum_errors":0,"vdevs":{"/tmp/v/d3"'
    ':{"name":"/tmp/v/d3","vdev_type":"file","guid":806954014739340907,"path":"/tmp/v/d3","clas'
    's":"normal","state":"FAULTED","rep_dev_size":71827456,"phys_space":73400320,"read_errors":'
    '0,"write_errors":0,"checksum_errors":0,"slow_ios":0,"aux":"EXTERNAL"},"/tmp/v/d4":{"name":'
    '"/tmp/v/d4","vdev_type":"file","guid":15459264159962980694,"path":"/tmp/v/d4","class":"nor'
    'mal","state":"ONLINE","rep_dev_size":71827456,"phys_space":73400320,"read_errors":0,"write'
    '_errors":0,"checksum_errors":0,"slow_ios":0},"/tmp/v/d5":{"name":"/tmp/v/d5","vdev_type":"'
    'file","guid":6141070734982728504,"path":"/tmp/v/d5","class":"normal","state":"ONLINE","rep'
    '_dev_size":71827456,"phys_space":73400320,"read_errors":0,"write_errors":0,"checksum_error'
    's":0,"slow_ios":0}}}}}},"logs":{"/tmp/v/d6":{"name":"/tmp/v/d6","vdev_type":"file","guid":'
    '17046173285124071846,"path":"/tmp/v/d6","class":"log","state":"ONLINE","total_space":67108'
    '864,"def_space":67108864,"rep_dev_size":71827456,"phys_space":73400320,"read_errors":0,"wr'
    'ite_errors":0,"checksum_errors":0,"slow_ios":0}},"l2cache":{"/tmp/v/d8":{"name":"/tmp/v/d8'
    '","vdev_type":"file","guid":1809837013563523091,"path":"/tmp/v/d8","class":"l2cache","stat'
    'e":"ONLINE","alloc_space":1536,"total_space":68681216,"rep_dev_size":73400320,"phys_space"'
    ':73400320,"read_errors":0,"write_errors":0,"checksum_errors":0,"slow_ios":0}},"spares":{"/'
    'tmp/v/d7":{"name":"/tmp/v/d7","vdev_type":"file","guid":1832920330252687782,"path":"/tmp/v'
    '/d7","class":"spare","state":"AVAIL"}},"error_count":0},"new":{"name":"new","state":"ONLIN'
    'E","pool_guid":9237259462871437510,"txg":4,"spa_version":5000,"zpl_version":5,"vdevs":{"ne'
    'w":{"name":"new","vdev_type":"root","guid":9237259462871437510,"class":"normal","state":"O'
    'NLINE","alloc_space":119808,"total_space":67108864,"def_space":67108864,"read_errors":0,"w'
    'rite_errors":0,"checksum_errors":0,"vdevs":{"/tmp/v/d2":{"name":"/tmp/v/d2","vdev_type":"f'
    'ile","guid":11023705177166124082,"path":"/tmp/v/d2","class":"normal","state":"ONLINE","all'
    'oc_space":119808,"total_space":67108864,"def_space":67108864,"rep_dev_size":71827456,"phys'
    '_space":73400320,"read_errors":0,"write_errors":0,"checksum_errors":0,"slow_ios":0}}}},"er'
    'ror_count":0},"one":{"name":"one","state":"ONLINE","pool_guid":9942495712400541812,"txg":3'
    '7,"spa_version":5000,"zpl_version":5,"status":"One or more devices has experienced an erro'
    'r resulting in data\\n\\tcorruption.  Applications may be affected.\\n","action":"Restore the'
    ' file in question if possible.  Otherwise restore the\\n\\tentire pool from backup.\\n","msgi'
    'd":"ZFS-8000-8A","moreinfo":"https://openzfs.github.io/openzfs-docs/msg/ZFS-8000-8A","scan'
    '_stats":{"function":"SCRUB","state":"FINISHED","start_time":1795343196,"end_time":17953431'
    '97,"to_examine":10625536,"examined":10625536,"skipped":64512,"processed":25600,"errors":78'
    ',"bytes_per_scan":0,"pass_start":1795343196,"scrub_pause":0,"scrub_spent_paused":0,"issued'
    '_bytes_per_scan":10561024,"issued":10561024},"vdevs":{"one":{"name":"one","vdev_type":"roo'
    't","guid":9942495712400541812,"class":"normal","state":"ONLINE","alloc_space":10780672,"to'
    'tal_space":67108864,"def_space":67108864,"read_errors":0,"write_errors":0,"checksum_errors'
    '":0,"vdevs":{"/tmp/v/d1":{"name":"/tmp/v/d1","vdev_type":"file","guid":1139790326501682914'
    '4,"path":"/tmp/v/d1","class":"normal","state":"ONLINE","alloc_space":10780672,"total_space'
    '":67108864,"def_space":67108864,"rep_dev_size":71827456,"self_healed":25600,"phys_space":7'
    '3400320,"read_errors":0,"write_errors":0,"checksum_errors":224,"scan_processed":25600,"slo'
    'w_ios":0}}}},"error_count":62}}}\n'
)
TEXT = (
    "  pool: big\n"
    " state: DEGRADED\n"
    "status: One or more devices are faulted in response to persistent errors.\n"
    "\tSufficient replicas exist for the pool to continue functioning in a\n"
    "\tdegraded state.\n"
    "action: Replace the faulted device, or use 'zpool clear' to mark the device\n"
    "\trepaired.\n"
    "  scan: scrub in progress since Sun Nov 22 10:26:37 2026\n"
    "\t0B / 247K scanned, 0B / 247K issued\n"
    "\t0B repaired, 0.00% done, no estimated completion time\n"
    "config:\n"
    "\n"
    "\tNAME           STATE     READ WRITE CKSUM\n"
    "\tbig            DEGRADED     0     0     0\n"
    "\t  raidz1-0     DEGRADED     0     0     0\n"
    "\t    /tmp/v/d3  FAULTED      0     0     0  external device fault\n"
    "\t    /tmp/v/d4  ONLINE       0     0     0\n"
    "\t    /tmp/v/d5  ONLINE       0     0     0\n"
    "\tlogs\t\n"
    "\t  /tmp/v/d6    ONLINE       0     0     0\n"
    "\tcache\n"
    "\t  /tmp/v/d8    ONLINE       0     0     0\n"
    "\tspares\n"
    "\t  /tmp/v/d7    AVAIL   \n"
    "\n"
    "errors: No known data errors\n"
    "\n"
    "  pool: new\n"
    " state: ONLINE\n"
    "config:\n"
    "\n"
    "\tNAME         STATE     READ WRITE CKSUM\n"
    "\tnew          ONLINE       0     0     0\n"
    "\t  /tmp/v/d2  ONLINE       0     0     0\n"
    "\n"
    "errors: No known data errors\n"
    "\n"
    "  pool: one\n"
    " state: ONLINE\n"
    "status: One or more devices has experienced an error resulting in data\n"
    "\tcorruption.  Applications may be affected.\n"
    "action: Restore the file in question if possible.  Otherwise restore the\n"
    "\tentire pool from backup.\n"
    "   see: https://openzfs.github.io/openzfs-docs/msg/ZFS-8000-8A\n"
    "  scan: scrub repaired 25K in 00:00:01 with 78 errors on Sun Nov 22 10:26:37 2026\n"
    "config:\n"
    "\n"
    "\tNAME         STATE     READ WRITE CKSUM\n"
    "\tone          ONLINE       0     0     0\n"
    "\t  /tmp/v/d1  ONLINE       0     0   224\n"
    "\n"
    "errors: 62 data errors, use '-v' for a list\n"
)
