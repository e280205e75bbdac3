mkdir -p night/artifacts
since=$(date -u -d '20 hours ago' +%Y-%m-%dT%H:%M:%SZ)
for slug in@% for slug in slugs %@ @{ slug }@@% endfor %@; do
  id=$(gh run list --workflow "forest_workflow_${slug}.yml" --created ">=${since}" --limit 1 \
    --json databaseId --jq '.[0].databaseId // empty' || true)
  if [ -z "$id" ]; then
    echo "$slug: no run in this night"
  elif ! gh run download "$id" --name "playback-${slug}" --dir "night/artifacts/${slug}"; then
    # Not there: its runner died before it could upload anything. The aggregation calls it missing.
    echo "$slug: run $id has no artifact"
  fi
done
