# fish completion for aisd-report; see aisd-report(8).

complete -c aisd-report -l generalise \
    -d 'with --suggest, grant more than what ran'
complete -c aisd-report -l html -r -F -d 'write a page of HTML'
complete -c aisd-report -s j -l json -d 'write JSON'
complete -c aisd-report -s J -l journal -d 'read the journal, and not a file'
complete -c aisd-report -s n -l number -x -d 'show so many rows of each table'
complete -c aisd-report -s p -l peer -x -d 'count only commands of a peer'
complete -c aisd-report -s s -l since -x -a 'today yesterday 12h 7d' \
    -d 'count only records from a time on'
complete -c aisd-report -l suggest \
    -d 'print commands for the rules that have learned'
complete -c aisd-report -s t -l tables -x -a 'peers rules days reasons failures refusals longest slowest running' \
    -d 'show only these tables'
complete -c aisd-report -s u -l until -x -a 'today yesterday 12h 7d' \
    -d 'count only records before a time'
complete -c aisd-report -s U -l user -x -a '(__fish_complete_users)' \
    -d 'count only journal records of a user'
complete -c aisd-report -s V -l version \
    -d 'print the version and leave'
complete -c aisd-report -s h -l help \
    -d 'print a summary of the options and leave'
