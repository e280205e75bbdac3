trace=()
case "${ENABLE_PROFILE_COVERAGE:-}" in
  1 | true | yes | on) trace=(--trace-code) ;;
esac
playtrace workflows job @{ entry.workflow_slug }@ --list @{ list | sh }@ \
  --output-dir @{ artifacts }@ --log @{ entry.artifact_path | sh }@ \
  -- wctl @{ entry.playback_type_command }@ @{ entry.profile_slug }@@% for word in entry.playback_options %@ @{ word | sh }@@% endfor %@ "${trace[@]}"
