# fish completion for ais-ca; see ais-ca(8).

complete -c ais-ca -f
complete -c ais-ca -s d -x -a '(__fish_complete_directories)' \
    -d 'the directory of the authority'
complete -c ais-ca -s q -d 'print nothing but errors and what was asked for'
complete -c ais-ca -s w -x -d 'wait so long for another ais-ca'
complete -c ais-ca -l name -x -d 'name of the authority'
complete -c ais-ca -l days -x -d 'days of validity'
complete -c ais-ca -l expiring -x -d 'all that end within n days'
complete -c ais-ca -l successor -d 'make the next authority'
complete -c ais-ca -l take-over -d 'let the successor sign from now on'
complete -c ais-ca -l retire -d 'trust the predecessor no more'
complete -c ais-ca -l predecessor -d 'all that the predecessor has signed'
complete -c ais-ca -l algorithm -x -a 'p256 p384 ed25519 rsa2048 rsa3072 rsa4096' \
    -d 'kind of key'
complete -c ais-ca -l out -x -a '(__fish_complete_directories)' \
    -d 'copy the files to a directory'
complete -c ais-ca -l owner -x -a '(__fish_complete_users)' \
    -d 'give the key to a user'
complete -c ais-ca -l reason -x -a 'unspecified keyCompromise affiliationChanged superseded cessationOfOperation' \
    -d 'reason of a revocation'
complete -c ais-ca -l passphrase -d 'ask for a passphrase and encrypt the key'
complete -c ais-ca -l passphrase-file -r -F -d 'a file with the passphrase'
complete -c ais-ca -s h -l help -d 'print a summary of the options and exit'
complete -c ais-ca -s V -l version -d 'print the version and exit'
complete -c ais-ca -n __fish_use_subcommand -a init -d 'make a new authority'
complete -c ais-ca -n __fish_use_subcommand -a server \
    -d 'make a key and a certificate for a server'
complete -c ais-ca -n __fish_use_subcommand -a client \
    -d 'make a key and a certificate for a client'
complete -c ais-ca -n __fish_use_subcommand -a list \
    -d 'list every certificate with its state'
complete -c ais-ca -n __fish_use_subcommand -a show -d 'show one certificate'
complete -c ais-ca -n __fish_use_subcommand -a sign \
    -d 'make a certificate for a key that stays where it is'
complete -c ais-ca -n __fish_use_subcommand -a renew \
    -d 'make a new key and certificate for the same name, and more names'
complete -c ais-ca -n __fish_use_subcommand -a revoke \
    -d 'declare certificates invalid'
complete -c ais-ca -n __fish_use_subcommand -a crl \
    -d 'write the list of revoked certificates'
