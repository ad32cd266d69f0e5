# What scripts/stacks makes of a stack's configuration, and how it compares the twin with dockmaster.

# The services in the order in which they are best changed: one that needs others for a changed value, one that others need for a changed
# tag, since that is where Compose and dockmaster could act on more than the changed one.
def needed: [.services[].depends_on // {} | keys[]] | unique;
def for_value:
  [.services | to_entries[] | select(.value.provider | not)] | (map(select(.value.depends_on))[-1] // .[-1]).key;
def for_tag:
  needed as $needed
  | [.services | to_entries[] | select(.value.build or .value.provider | not) | select(.value.image // "@" | contains("@") | not)]
  | (map(select(.key | IN($needed[])))[0] // .[0] // {key: ""}).key;

# A further compose file: entry points and health checks that a stub has, jobs that end, and what the steps change.
def further($value; $tag; $image; $stub):
  def with_condition($condition): [.services[].depends_on // {} | to_entries[] | select(.value.condition == $condition) | .key] | unique;
  with_condition("service_completed_successfully") as $jobs
  | with_condition("service_healthy") as $healthy # what has no check in the file has one in its real image
  | {services: (.services | with_entries(
      .key as $name
      | .value |= (
          (if (.healthcheck.test // ["NONE"])[0] != "NONE" or ($name | IN($healthy[]))
           then {healthcheck: {test: ["CMD", "true"], interval: "1s", timeout: "5s", retries: 3, start_period: "0s"}} else {} end)
          # A digest cannot be given to a stub.
          + (if .image // "" | contains("@") then {image: (.image | split("@")[0])} else {} end)
          # More than this an engine in a container may not be able to grant.
          + (if .ulimits then {ulimits: (.ulimits | map_values(if type == "object" then map_values(1024) else 1024 end))} else {} end)
          + (if .build.dockerfile_inline then {build: {dockerfile_inline: ("FROM " + $stub + "\n")}} else {} end)
          + (if $name | IN($jobs[]) then {entrypoint: ["true"], command: []} elif .entrypoint then {entrypoint: ["/bin/stub"], command: []} else {} end)
          + (if $name == $value.service then {environment: {STACKS_VALUE: $value.value}} else {} end)
          + (if $name == $tag and $image != "" then {image: $image} else {} end))
    ) | with_entries(select(.value != {})))};

# How a container stands, in a word. One that was never started is as good as none: Compose makes all before it starts one.
def standing:
  .State as $state
  | if $state.Status == "running" or $state.Status == "restarting" then
      (if .RestartCount > 0 or $state.Status == "restarting" then "failing"
       elif ($state.Health.Status // "healthy") == "healthy" then "up" else $state.Health.Status end)
    elif $state.Status == "exited" then (if $state.ExitCode == 0 then "ended" else "failed" end)
    elif $state.Status == "created" then (if $state.ExitCode == 0 then "unstarted" else "failed" end)
    else $state.Status end;

# `docker inspect` of a project's containers as a line a container; `$root` stands where the twin and production differ.
def snapshot($root):
  [.[] | select(.Config.Labels["com.docker.compose.oneoff"] != "True") | {
    key: (.Config.Labels["com.docker.compose.service"] + " " + (.Config.Labels["com.docker.compose.container-number"] // "")),
    value: {
      id: .Id, started: .State.StartedAt, standing: standing, hash: .Config.Labels["com.docker.compose.config-hash"], runs: .Image,
      made: {
        image: .Config.Image,
        networks: (.NetworkSettings.Networks | keys | sort),
        shares: [.HostConfig | .NetworkMode, .IpcMode, .PidMode | select(startswith("container:")) | "another"],
        mounts: ([.Mounts[] | .Destination + " " + .Type + " " + (if .Type == "bind" then .Source | sub("^" + $root; "ROOT")
                  elif .Type == "volume" then (.Name | if test("^[0-9a-f]{64}$") then "unnamed" else . end) else "" end)] | sort)
      }}}] | from_entries;

def change($before; $after):
  if $before == null then "made" elif $after == null then "removed" elif $before.id != $after.id then "remade"
  elif $before.started != $after.started then "restarted" else "kept" end;

def numbered: (. / " ") as [$service, $number] | if $number | IN("", "1") then $service else $service + "-" + $number end;
def listed: if length > 4 then (.[0:4] | join(", ")) + " and \(length - 4) more" else join(", ") end;
# In what two containers were made otherwise.
def otherwise($twin; $ours):
  [$twin, $ours | keys[]] | unique
  | map(. as $key | [$twin[$key], $ours[$key]] | select(.[0] != .[1])
      | if .[0] | type == "array" then "\($key) more: \(.[1] - .[0] | join("; ")), missing: \(.[0] - .[1] | join("; "))"
        else "\($key) \(.[1]), twin \(.[0])" end)
  | join(", ") | .[0:300];
def plain($standing): if $standing == "unstarted" then null else $standing end;

# How a step went on both sides: `{differences: [...], meant: [...]}`. Each side is `{before, after}` of `{containers, networks, volumes}`.
def compare($twin; $ours):
  ([$twin.after.containers, $ours.after.containers, $twin.before.containers, $ours.before.containers | keys[]] | unique) as $keys
  | [$keys[] | . as $key
      | {key: $key, twin: {before: $twin.before.containers[$key], after: $twin.after.containers[$key]},
         ours: {before: $ours.before.containers[$key], after: $ours.after.containers[$key]}}
      | .twin.change = change(.twin.before; .twin.after) | .ours.change = change(.ours.before; .ours.after)
      | .twin.standing = plain(.twin.after.standing) | .ours.standing = plain(.ours.after.standing)
      | .same_standing = (.twin.standing == .ours.standing)
      | .finished = (.same_standing and (.ours.standing | IN("ended", "failed")) and .ours.change == "kept" and .twin.change == "restarted")
      # Compose 2.26 remakes what depends on something that it remakes; later versions do not.
      | .along = (.same_standing and .ours.change == "kept" and .twin.change == "remade"
          and (.twin.before | [.hash, .runs]) == (.twin.after | [.hash, .runs]))
      # A crash loop restarts whenever it likes.
      | .same_change = (.twin.change == .ours.change or (.same_standing and (.ours.standing | IN("failing", null))))] as $all
  | {
      differences: (
        ([$all[] | select((.same_standing and (.same_change or .finished or .along)) | not)]
          | group_by([.twin.change, .twin.standing, .ours.change, .ours.standing])
          | map("\(map(.key | numbered) | listed): \(.[0].ours | .change + " and " + (.standing // "not started")), twin \(.[0].twin | .change + " and " + (.standing // "not started"))"))
        + [$all[] | select(.twin.standing and .ours.standing and .twin.after.made != .ours.after.made)
            | "\(.key | numbered): made with \(otherwise(.twin.after.made; .ours.after.made))"]
        + (if $twin.after.networks != $ours.after.networks then ["networks \($ours.after.networks | join(", ")), twin \($twin.after.networks | join(", "))"] else [] end)
        + (if $twin.after.volumes != $ours.after.volumes then ["volumes \($ours.after.volumes - $twin.after.volumes | listed) more, \($twin.after.volumes - $ours.after.volumes | listed) missing"] else [] end)),
      meant: (
        ([$all[] | select(.finished) | .key | numbered] | if length > 0 then ["\(listed): ended, and not run again"] else [] end)
        + ([$all[] | select(.along) | .key | numbered] | if length > 0 then ["\(listed): kept, since nothing of it changed"] else [] end))
    };

# What the plan said and what became of it: a list of differences. `$plan` is the plan as JSON.
def against_plan($plan; $ours):
  ([$plan.services[]? | {key: .service, value: .action}] | from_entries) as $said
  | [$ours.after.containers + $ours.before.containers | keys[] | . as $key
      | {key: $key, said: ($said[$key / " " | .[0]] // "stay"), is: change($ours.before.containers[$key]; $ours.after.containers[$key]),
         standing: plain($ours.after.containers[$key].standing)}
      | select(.standing | IN("failing", null) | not)
      | select((.said == "stop" and (.standing | IN("ended", "failed"))) | not)
      | select(.is == (if .said == "stay" then "kept" elif .said == "create" then "made" elif .said == "recreate" then "remade"
                       elif .said == "restart" or .said == "start" then "restarted" else .said end) | not)]
  | group_by([.said, .is]) | map("the plan says \(.[0].said) of \(map(.key | numbered) | listed), which is \(.[0].is)");

# `5 up, 1 failing`
def counted:
  [.containers[].standing] | group_by(.) | sort_by(-length) | map("\(length) \(.[0])") | if length == 0 then "nothing" else join(", ") end;
