# Completion of the command fletch for bash.

_fletch() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words='schema count cat shuffle verify where serve put get ls stat rm top flight info bench --help --version'
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
        return
    fi
    case $before in
    --sums)
        mapfile -t COMPREPLY < <(compgen -W 'keys rows counts off' -- "$word")
        return
        ;;
    --compress | --compress-spill)
        mapfile -t COMPREPLY < <(compgen -W 'lz4 zstd' -- "$word")
        return
        ;;
    --log)
        mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$word")
        return
        ;;
    --create)
        mapfile -t COMPREPLY < <(compgen -W 'action put off' -- "$word")
        return
        ;;
    --retention)
        mapfile -t COMPREPLY < <(compgen -W 'none until_close' -- "$word")
        return
        ;;
    --order)
        mapfile -t COMPREPLY < <(compgen -W 'asc desc' -- "$word")
        return
        ;;
    --out)
        if [ "${COMP_WORDS[1]}" = flight ] || [ "${COMP_WORDS[1]}" = get ]; then
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return
        fi
        ;;&
    --out | --parts | --spill-dir)
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
        return
        ;;
    esac
    if [ "${COMP_WORDS[1]}" = flight ] && [ "$COMP_CWORD" -eq 2 ]; then
        mapfile -t COMPREPLY < <(compgen -W 'ls get put do --help' -- "$word")
        return
    fi
    case ${COMP_WORDS[1]} in
    schema) words='--metadata --json --help' ;;
    count) words='--json --help' ;;
    cat) words='--limit --json --arrow --help' ;;
    shuffle) words='--by --partitions --out --replace --range --order --bounds --save-bounds --round-robin --producers --threads --memory --spill-dir --compress --compress-spill --sums --no-sync --quiet --json --help' ;;
    verify) words='--json --help' ;;
    where) words='--partitions --schema --by --types --bounds --order --null --json --help' ;;
    serve) words='--listen --public --insecure --memory --shuffle-memory --spill-dir --compress-spill --create --shuffles --partitions --producers --connections --calls --message-limit --loops --credit-timeout --stall-timeout --drain --log --ready-file --config --print-config --help' ;;
    put) words='--partitions --by --round-robin --producers --open --retention --sums --partition --producer --attempt --check --end --compress --message-limit --timeout --json --help' ;;
    get) words='--partition --out --parts --replace --compress --streams --timeout --json --help' ;;
    ls) words='--json --timeout --help' ;;
    stat) words='--json --timeout --help' ;;
    rm) words='--cancel --reason --timeout --help' ;;
    top) words='--interval --once --json --timeout --help' ;;
    flight) words='--path --command --ticket --out --replace --compress --message-limit --criteria --json --header --basic --timeout --help' ;;
    info) words='--json --help' ;;
    bench) words='--seconds --json --help' ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    fi
}

complete -o filenames -F _fletch fletch
