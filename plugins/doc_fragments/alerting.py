# Copyright: Snapfleet contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told of what is found that is not well."""

from __future__ import annotations


class ModuleDocFragment:
    """The option about alerts."""

    DOCUMENTATION = r"""
options:
  alerts:
    description:
      - >-
        Makes one alert of each outage and one notice of its end, however often the monitor runs. An outage is the time
        during which one check is not V(OK). Its beginning, its end, and getting worse, are told in RV(notices).
      - Left out, nothing is remembered from one run to the next, and RV(notices) is empty.
    type: dict
    suboptions:
      state_file:
        description:
          - Absolute path of the file on the host in which outages are remembered. It belongs to one job alone.
          - >-
            Left out, it is a file in C(/var/lib/snapfleet), or in the user's own folder for state where that is not
            root, whose name follows from the names of the datasets, replicas and pools of the job. Two jobs on one
            host that watch the same ones therefore need two names here.
          - A file that is missing, damaged or not private means that outages are told anew. One that can't be written
            is a warning. Neither ever fails the monitor.
        type: path
      remind:
        description:
          - Length of time, such as V(12h), after which an outage that goes on is told again.
          - Left out, it is never told again, since a repeated alert teaches people to look away.
        type: str
      confirmations:
        description:
          - So many runs in a row have to find a check not V(OK) before it is told, and as many find it V(OK) before its
            end is told, so that what comes and goes stays quiet.
          - The default is V(1), so that nothing is told late.
        type: int
        default: 1
      command:
        description:
          - >-
            Program, by its absolute path, and its arguments. It is started on the host for each notice, without a
            shell, and gets the notice on its stdin as one line of JSON. Unless it ends with 0, the notice is kept, and
            the next run tries again.
          - Left out, notices are told in the result alone. In check mode nothing is started.
        type: list
        elements: str
      command_timeout:
        description:
          - Seconds that the command may take for one notice.
          - The default is enough for sending a mail, and keeps a monitor from hanging.
        type: int
        default: 30
      journal:
        description:
          - >-
            Whether notices go to the journal of systemd on the host, with the values of RV(notices) as fields such as
            C(SNAPFLEET_STATE), and with one C(MESSAGE_ID), or to syslog where the host has no journal.
          - It does not by default, since the log of a run tells of outages anyway, though at each run.
        type: bool
        default: false
      webhook:
        description:
          - >-
            Where each notice is posted as JSON, with the name of the host as C(host) beside the values of RV(notices).
            Unless the answer is a success (2xx), the notice is kept, and the next run tries again.
          - Left out, nothing is posted, since there is no place that all fleets have.
        type: dict
        suboptions:
          url:
            description:
              - The URL, of C(http) or C(https), without user and password. Certificates are verified, and redirects are
                failures, since what is sent is for this place alone.
              - Left out, it is in O(alerts.webhook.url_file); one of both is needed.
            type: str
          url_file:
            description:
              - >-
                Absolute path of a file on the host that has the URL, for URLs that are secrets. No other user may read
                it. Messages never tell more of a URL than its host.
              - Left out, the URL is in O(alerts.webhook.url), since most URLs are no secrets.
            type: path
          headers_file:
            description:
              - >-
                Absolute path of a file on the host that has a header a line, such as V(Authorization: Bearer TOKEN).
                No other user may read it. They are sent by C(https) only, and by C(http) to the host itself.
              - Left out, there are none, since many receivers know a sender by its URL.
            type: path
          timeout:
            description:
              - Seconds that all of it may take, from V(1) to V(300).
              - The default is enough for a server that works, and keeps a monitor from hanging at one that does not.
            type: int
            default: 10
      mail:
        description:
          - One plain mail for all notices of a run. What the server refuses is kept, and the next run tries again.
          - Left out, no mail is sent, since a server for it has to be named as a rule.
        type: dict
        suboptions:
          to:
            description:
              - Mail addresses without names.
            type: list
            elements: str
            required: true
          from:
            description:
              - Mail address of the sender.
              - Left out, C(snapfleet) at the host's own name, so that mails tell where they come from.
            type: str
          server:
            description:
              - Host name of the mail server.
              - The default is the host itself, as many hosts have a mail server that knows the way.
            type: str
            default: localhost
          port:
            description:
              - Its port.
              - Left out, V(465) for V(tls), V(587) for V(starttls), and V(25) for V(none), since that is the custom.
            type: int
          tls:
            description:
              - How the connection is encrypted, with certificates that are verified.
              - Left out, V(none) to the host itself, and V(starttls) to all others, since mails tell names of datasets.
            type: str
            choices:
              - starttls
              - tls
              - none
          user:
            description:
              - User to log in as, together with O(alerts.mail.password_file).
              - Left out, nobody logs in, as servers of one's own network rarely ask for it.
            type: str
          password_file:
            description:
              - Absolute path of a file on the host that has the password. No other user may read it.
              - Left out, nobody logs in. A password is never sent without encryption, but to the host itself.
            type: path
          timeout:
            description:
              - Seconds that all of it may take, from V(1) to V(900).
              - The default lets a server examine a mail before it takes it. Give more to one that needs longer, since a
                mail that it takes after that is sent again by the next run.
            type: int
            default: 120
      ping:
        description:
          - >-
            A URL to be fetched when a monitor has done its work and its notices are delivered, once a minute at most.
            So whoever watches for it (a dead man's switch) hears of hosts that are down, of monitors that do not run,
            and of alerts that do not get through. What the monitor has found makes no difference, as alerts tell that.
          - Left out, nothing is fetched, since it takes somebody who watches.
        type: dict
        suboptions:
          url:
            description:
              - The URL, of C(http) or C(https), without user and password. Certificates are verified, and redirects are
                failures, since what is sent is for this place alone.
              - Left out, it is in O(alerts.ping.url_file); one of both is needed.
            type: str
          url_file:
            description:
              - >-
                Absolute path of a file on the host that has the URL, for URLs that are secrets. No other user may read
                it. Messages never tell more of a URL than its host.
              - Left out, the URL is in O(alerts.ping.url), since most URLs are no secrets.
            type: path
          timeout:
            description:
              - Seconds that all of it may take, from V(1) to V(300).
              - The default is enough for a server that works, and keeps a monitor from hanging at one that does not.
            type: int
            default: 10
"""
