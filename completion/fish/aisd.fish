# fish completion for aisd; see aisd(8).

complete -c aisd -f
complete -c aisd -s c -l config -r -F -d 'read a file and its FILE.d/*.conf'
complete -c aisd -s p -l port -x -d 'listen on a port'
complete -c aisd -s t -l check-config -d 'check the configuration and leave'
complete -c aisd -s q -l quiet -d 'with -t: errors of a reload alone'
complete -c aisd -s T -l show-config \
    -d 'print the configuration in force and leave'
complete -c aisd -s v -l verbose -d 'log to standard error as well, and more'
complete -c aisd -l explain -r -F -d 'say what the rules do for a certificate'
complete -c aisd -s V -l version -d 'print the version and leave'
complete -c aisd -s h -l help -d 'print a summary of the options and leave'
