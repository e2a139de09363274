# Completion of entrepot for bash: commands, options, and live keys where a key belongs.
#
# Keys come from the server that the command line would use; without a server there are none.

_entrepot_keys() {
  local key
  while IFS= read -r key; do
    COMPREPLY+=("$(printf '%q' "$key")")
  done < <(entrepot "${_entrepot_server[@]}" --timeout 500ms --retries 0 \
    scan --keys --limit 50 -- "$1" 2> /dev/null)
}

_entrepot() {
  local word=${COMP_WORDS[COMP_CWORD]}
  local commands='get set del incr append touch mget find scan count watch changes stats save backup ping import export raw shell'
  local globals='--server --timeout --retries --output --help --version'
  local command='' i
  _entrepot_server=()
  COMPREPLY=()

  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      -s | --server)
        _entrepot_server=(--server "${COMP_WORDS[i + 1]}")
        ((i++))
        ;;
      -t | --timeout | --retries | -o | --output) ((i++)) ;;
      -*) ;;
      *) [[ -z $command ]] && command=${COMP_WORDS[i]} ;;
    esac
  done

  case ${COMP_WORDS[COMP_CWORD - 1]} in
    -o | --output)
      COMPREPLY=($(compgen -W 'plain json jsonl csv' -- "$word"))
      return
      ;;
    --format)
      COMPREPLY=($(compgen -W 'jsonl csv' -- "$word"))
      return
      ;;
    --file)
      COMPREPLY=($(compgen -f -- "$word"))
      return
      ;;
  esac

  if [[ $word == -* ]]; then
    local options=''
    case $command in
      set) options='--json --bytes --literal --ttl --expires-at-ms --keep-ttl --if-version --if-absent --if-present --previous' ;;
      del) options='--if-version --prefix' ;;
      incr) options='--initial --min --max --ttl' ;;
      append) options='--bytes --literal --prepend' ;;
      touch) options='--permanent' ;;
      find) options='--equals --from --to --json --key-prefix --limit --keys --desc' ;;
      scan) options='--limit --keys --desc' ;;
      count) options='--value-prefix --equals --from --to --json' ;;
      watch) options='--query --equals --from --to --json --since --no-snapshot --keys --exec --count' ;;
      changes) options='--since --wait --keys' ;;
      ping) options='--count' ;;
      import) options='--format --prefix --ttl' ;;
      export) options='--file --format --ttl' ;;
      raw) options='--hex' ;;
    esac
    COMPREPLY=($(compgen -W "$options $globals" -- "$word"))
    return
  fi

  case $command in
    '') COMPREPLY=($(compgen -W "$commands" -- "$word")) ;;
    get | set | del | incr | append | touch | mget | scan | count | watch | changes | export) _entrepot_keys "$word" ;;
    import) COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}

complete -F _entrepot entrepot
