# fish completion for aisc; see aisc(1).

# Is HOST still to come?
function __fish_aisc_no_host
    set -l skip no
    for word in (commandline -opc)[2..-1]
        if test $skip = yes
            set skip no
            continue
        end
        switch $word
            case -c --command -C --directory -e --env -f --file -F --config \
                -p --port --ca --cert --key --timeout --connect-timeout \
                --wait --warn-days --critical-days --status-fd
                set skip yes
            case '-*'
            case '*'
                return 1
        end
    end
    return 0
end

# The hosts of aisc.conf: the names that "match" has without a pattern.
function __fish_aisc_hosts
    set -l conf $HOME/.config
    set -q XDG_CONFIG_HOME; and set conf $XDG_CONFIG_HOME
    set -l files $conf/ais/aisc.conf /etc/aisc.conf \
        /usr/local/etc/aisc.conf
    set -l words (commandline -opc)
    for n in (seq (count $words))
        if contains -- $words[$n] -F --config
            set files $words[(math $n + 1)]
        end
    end
    cat $files 2>/dev/null | awk '{
        sub(/#.*/, "")
        sub(/\/\/.*/, "")
        text = text " " $0
    }
    END {
        while (match(text, /[^a-z_]match[ \t]*[=:][ \t]*/)) {
            text = substr(text, RSTART + RLENGTH)
            end = text ~ /^\[/ ? "]" : text ~ /^\(/ ? ")" : "[;}]"
            list = match(text, end) ? substr(text, 1, RSTART) : text
            while (match(list, /"[^"]*"/)) {
                name = substr(list, RSTART + 1, RLENGTH - 2)
                list = substr(list, RSTART + RLENGTH)
                if (name ~ /^[A-Za-z0-9_.-]+$/)
                    print name
            }
        }
    }'
end

complete -c aisc -f
complete -c aisc -n __fish_aisc_no_host -s c -l command -x \
    -d 'let the server\'s shell run a line'
complete -c aisc -n __fish_aisc_no_host -s C -l directory -x \
    -d 'run in a directory of the server'
complete -c aisc -n __fish_aisc_no_host -s e -l env -x \
    -d 'set a variable for the command'
complete -c aisc -n __fish_aisc_no_host -s f -l file -r -F \
    -d 'run the commands in a file'
complete -c aisc -n __fish_aisc_no_host -l stop-on-error \
    -d 'end a script with the first status that is not 0'
complete -c aisc -n __fish_aisc_no_host -l keep-going \
    -d 'go on after a command that the server refuses'
complete -c aisc -n __fish_aisc_no_host -s F -l config -r -F \
    -d 'read a file in place of all aisc.conf'
complete -c aisc -n __fish_aisc_no_host -s n -l no-stdin \
    -d 'give the command no standard input'
complete -c aisc -n __fish_aisc_no_host -s p -l port -x -d 'connect to a port'
complete -c aisc -n __fish_aisc_no_host -s q -l quiet \
    -d 'say nothing but errors'
complete -c aisc -n __fish_aisc_no_host -s v -l verbose \
    -d 'say what is done, and how it ends'
complete -c aisc -n __fish_aisc_no_host -l ca -r -F \
    -d 'certificate of the authority'
complete -c aisc -n __fish_aisc_no_host -l cert -r -F -d 'your certificate'
complete -c aisc -n __fish_aisc_no_host -l key -r -F -d 'its private key'
complete -c aisc -n __fish_aisc_no_host -l timeout -x \
    -d 'time limit for everything'
complete -c aisc -n __fish_aisc_no_host -l connect-timeout -x \
    -d 'time limit for connecting'
complete -c aisc -n __fish_aisc_no_host -l wait -x \
    -d 'time limit for waiting in the line'
complete -c aisc -n __fish_aisc_no_host -l list -d 'show what you may run'
complete -c aisc -n __fish_aisc_no_host -l can \
    -d 'ask if you may run it, and run nothing'
complete -c aisc -n __fish_aisc_no_host -l check \
    -d 'check files, server and certificates'
complete -c aisc -n __fish_aisc_no_host -l plugin \
    -d 'run the plugin of a monitoring system'
complete -c aisc -n __fish_aisc_no_host -l warn-days -x \
    -d 'days left that call for a warning'
complete -c aisc -n __fish_aisc_no_host -l critical-days -x \
    -d 'days left that are critical'
complete -c aisc -n __fish_aisc_no_host -l json -d 'answer as JSON'
complete -c aisc -n __fish_aisc_no_host -l capture \
    -d 'put the output of commands into the JSON'
complete -c aisc -n __fish_aisc_no_host -l status-fd -x \
    -d 'tell a descriptor what came of it'
complete -c aisc -n __fish_aisc_no_host -l progress \
    -d 'show how much has passed'
complete -c aisc -n __fish_aisc_no_host -l no-progress \
    -d 'never show how much has passed'
complete -c aisc -n __fish_aisc_no_host -l show-config \
    -d 'show the settings and exit'
complete -c aisc -n __fish_aisc_no_host -s h -l help \
    -d 'show a summary of the options and exit'
complete -c aisc -n __fish_aisc_no_host -s V -l version \
    -d 'show the version and exit'
complete -c aisc -n __fish_aisc_no_host -a '(__fish_aisc_hosts)' -d host
