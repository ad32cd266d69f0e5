//! Services that run as processes of the host, with real ones: started, watched, stopped, killed, and never twice.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use dockmaster::domain::container::{Condition, Health, State};
use dockmaster::domain::managed::RestartRule;
use dockmaster::domain::managed::label::DEFINITION;
use dockmaster::domain::measures::CHECKS_KEPT;
use dockmaster::engine::host::{HealthSpec, HostError};
use dockmaster::engine::outside::Check;
use futures_util::{StreamExt, TryStreamExt};
use rustix::process::Signal;

use crate::support::disk::SmallDisk;
use crate::support::fixture::command;
use crate::support::yard::{YARD, Yard, host, key, project, signal};
use crate::support::{PATIENCE, eventually};

/// Sleeps, and is one process.
const SLEEPS: [&str; 2] = ["sleep", "1000"];
/// How often chances are taken, unless told otherwise.
const ROUNDS: usize = 50;

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_started_seen_replaced_stopped_and_forgotten() {
    let (yard, worker) = (Yard::new(), key("worker"));
    let mut spec = yard.sh("echo hello; echo trouble >&2; exec sleep 1000");
    spec.environment.insert("SECRET".to_owned(), "do-not-tell".to_owned());
    yard.host.start(&worker, &spec).await.unwrap();
    yard.says("worker", "trouble").await;
    assert_eq!(yard.log("worker", 10).await, ["hello", "trouble"]);
    let seen = yard.seen("worker").await;
    assert_eq!((seen.id.as_str(), seen.name.as_str(), seen.image.as_str()), ("process:tools/worker/1", "dockmaster-tools-worker-1", "sh"));
    assert_eq!(
        (seen.state, seen.health, seen.restarts, seen.labels[DEFINITION].as_str()),
        (State::Running, Health::None, 0, &*spec.hash())
    );
    assert!(seen.started.is_some() && seen.restarts_itself && seen.is_up());

    // Whatever of it may hold secrets is for nobody else.
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (place, mut files) = (yard.place("worker"), 0);
    for directory in place.ancestors().take(4) {
        assert_eq!(mode(directory), 0o700, "{}", directory.display());
    }
    for file in std::fs::read_dir(&place).unwrap().map(|e| e.unwrap().path()).filter(|p| !p.ends_with("socket")) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
        files += 1;
    }
    assert!(files >= 6, "{files}");
    for keeper in yard.keepers() {
        let given = std::fs::read(format!("/proc/{keeper}/environ")).unwrap();
        let said = std::fs::read(format!("/proc/{keeper}/cmdline")).unwrap();
        assert!(![given, said].iter().any(|text| text.windows(11).any(|part| part == b"do-not-tell")));
    }

    // The same again is nothing, another definition is another process.
    let first = yard.processes();
    yard.host.start(&worker, &spec).await.unwrap();
    assert_eq!((first.len(), yard.processes()), (1, first.clone()));
    let changed = yard.command(&SLEEPS);
    yard.host.start(&worker, &changed).await.unwrap();
    let second = yard.processes();
    assert_eq!((second.len(), yard.keepers().len()), (1, 1));
    assert_ne!(first, second);
    assert_eq!(yard.seen("worker").await.labels[DEFINITION], changed.hash());
    yard.host.restart(&worker, None).await.unwrap();
    let third = yard.processes();
    assert_eq!((third.len(), yard.seen("worker").await.restarts), (1, 0));
    assert_ne!(second, third);

    assert_eq!(yard.host.remove(&worker).await, Err(HostError::Runs("tools/worker/1".to_owned())));
    yard.host.stop(&worker, None).await.unwrap();
    assert_eq!(yard.processes(), Vec::<i32>::new());
    let stopped = yard.seen("worker").await;
    assert_eq!((stopped.state, stopped.exit_code, stopped.condition(0)), (State::Exited, 143, Condition::Stopped));
    assert!(stopped.finished >= stopped.started && yard.log("worker", 1).await == ["trouble"]);
    assert_eq!(yard.host.resume(|_| true).await.unwrap(), [], "it stays stopped");
    yard.host.stop(&worker, None).await.unwrap();
    yard.host.restart(&worker, None).await.unwrap();
    assert_eq!(yard.processes().len(), 1, "one that was stopped is started");
    yard.host.stop(&worker, None).await.unwrap();
    yard.host.remove(&worker).await.unwrap();
    assert_eq!(yard.host.list(&project()).await.unwrap(), []);
    assert_eq!(std::fs::read_dir(yard.data.join("processes")).unwrap().count(), 0);
    assert_eq!(yard.host.stop(&worker, None).await, Err(HostError::Missing("tools/worker/1".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_the_environment_of_its_definition_and_a_group_of_its_own() {
    let yard = Yard::new();
    yard.host.start(&key("env"), &yard.sh("env; echo session $(ps -o sid= -p $$); pwd; exec sleep 1000")).await.unwrap();
    let here = std::fs::canonicalize(yard.path("")).unwrap().display().to_string();
    yard.says("env", &here).await;
    let log = yard.log("env", 100).await;
    let names: Vec<&str> = log.iter().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let passed = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "DOCKMASTER_OPERATION", YARD];
    assert!(names.contains(&YARD) && names.contains(&"PATH"), "{names:?}");
    // A shell sets some by itself.
    assert!(names.iter().all(|name| passed.contains(name) || ["PWD", "OLDPWD", "SHLVL", "_"].contains(name)), "{names:?}");
    let pid = yard.processes()[0];
    let group = rustix::process::getpgid(rustix::process::Pid::from_raw(pid)).unwrap();
    assert_eq!(group.as_raw_nonzero().get(), pid);
    let session = rustix::process::getsid(rustix::process::Pid::from_raw(pid)).unwrap();
    assert_eq!(session.as_raw_nonzero().get(), yard.keepers()[0], "nobody's terminal");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_started_is_said_and_not_tried_again() {
    let yard = Yard::new();
    let mut nowhere = yard.command(&SLEEPS);
    nowhere.directory = Some("/no/such/directory".into());
    for (service, spec, why) in [
        ("missing", yard.command(&["no-such-program"]), "no-such-program is not installed"),
        ("nowhere", nowhere, "sleep could not be started: the directory /no/such/directory is not there"),
        ("nothing", yard.command(&[]), ""),
    ] {
        let refused = yard.host.start(&key(service), &spec).await.unwrap_err();
        assert!(matches!(&refused, HostError::Refused(said) if said.raw().contains(why)), "{refused:?}");
        let seen = yard.seen(service).await;
        assert_eq!((seen.state, seen.exit_code, seen.condition(0)), (State::Exited, 127, Condition::Failed));
        assert!(seen.error.contains(why), "{}", seen.error);
        assert!(yard.log(service, 1).await[0].contains(why));
    }
    assert_eq!(yard.host.resume(|_| true).await.unwrap(), []);
    yard.empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_gives_all_of_the_group_its_time_and_then_ends_it() {
    let yard = Yard::new();
    // Each ignores the request, one in the group and one that left it.
    let stubborn = "trap '' TERM; (while :; do sleep 1; done) & setsid sh -c \"trap '' TERM; while :; do sleep 1; done\" & echo up; while :; do sleep 1; done";
    yard.host.start(&key("stubborn"), &yard.sh(stubborn)).await.unwrap();
    yard.says("stubborn", "up").await;
    eventually("they are there", async || yard.processes().len() >= 6).await;
    let began = Instant::now();
    yard.host.stop(&key("stubborn"), Some(Duration::from_millis(500))).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(500), "they had their time");
    assert_eq!((yard.processes(), yard.seen("stubborn").await.exit_code), (vec![], 137));

    // The first to end is not the last, and what it says last is kept.
    let tidy = "trap 'exit 7' TERM; (trap 'sleep 0.5; echo tidied; exit' TERM; echo up; while :; do sleep 0.05; done) & while :; do sleep 0.05; done";
    yard.host.start(&key("tidy"), &yard.sh(tidy)).await.unwrap();
    yard.says("tidy", "up").await;
    yard.host.stop(&key("tidy"), None).await.unwrap();
    assert_eq!((yard.log("tidy", 1).await, yard.seen("tidy").await.exit_code), (vec!["tidied".to_owned()], 7));
    yard.empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_waits_longer_each_time_and_what_is_done_is_left() {
    let yard = Yard::new();
    let mut failing = yard.sh("echo again; exit 3");
    failing.restart = RestartRule::OnFailure(0);
    yard.host.start(&key("failing"), &failing).await.unwrap();
    yard.is("failing", State::Restarting).await;
    assert!(yard.seen("failing").await.restarts_itself);
    eventually("it was started three times", async || yard.log("failing", 10).await.len() >= 3).await;
    let container = yard.seen("failing").await;
    let lines: Vec<_> = yard.host.logs(&container, 10, None, false).try_collect().await.unwrap();
    let times: Vec<i64> = lines.iter().map(|line| line.at.unwrap()).collect();
    assert!(times[1] - times[0] >= 1_000 && times[2] - times[1] >= 2_000, "{times:?}");
    eventually("it is told", async || yard.seen("failing").await.restarts >= 2).await;
    assert_eq!(yard.seen("failing").await.exit_code, 3);
    // One that waits is stopped at once, and no later start comes.
    yard.host.stop(&key("failing"), None).await.unwrap();
    yard.empty().await;

    let mut few = yard.sh("echo again; exit 3");
    few.restart = RestartRule::OnFailure(1);
    yard.host.start(&key("few"), &few).await.unwrap();
    yard.is("few", State::Exited).await;
    assert_eq!(yard.log("few", 10).await, ["again", "again"], "once more, and no oftener");

    let mut job = yard.sh("echo done");
    job.restart = RestartRule::OnFailure(0);
    yard.host.start(&key("job"), &job).await.unwrap();
    yard.is("job", State::Exited).await;
    assert!(yard.seen("job").await.exited_zero() && yard.log("job", 5).await == ["done"]);
    assert_eq!(yard.host.resume(|_| true).await.unwrap(), [], "it has done what it was to do");
    yard.empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_comes_and_goes_and_is_told_when_it_does() {
    let (yard, web) = (Yard::new(), key("web"));
    let mut spec = yard.command(&SLEEPS);
    let check = Check::Command(["sh", "-c", "cat well; test -e well || { echo it is ill; exit 4; }"].map(str::to_owned).into());
    let ms = Duration::from_millis;
    let short = HealthSpec { interval: ms(50), timeout: ms(5_000), start_period: ms(3_000), retries: 3, ..HealthSpec::new(check) };
    spec.healthcheck = Some(short);
    let mut changes = yard.host.changes(&project());
    yard.host.start(&web, &spec).await.unwrap();
    assert_eq!(yard.seen("web").await.health, Health::Starting);
    let mut becomes = async |health| {
        while yard.seen("web").await.health != health {
            within(&format!("it is {health:?}"), changes.next()).await;
        }
    };
    becomes(Health::Unhealthy).await;
    let told = yard.seen("web").await.health_output.unwrap();
    assert!(told.starts_with("ended with code 4") && told.contains("\nit is ill"), "{told}");
    std::fs::write(yard.path("well"), "quite well\n").unwrap();
    becomes(Health::Healthy).await;
    assert_eq!(yard.seen("web").await.health_output.as_deref(), Some("quite well"));
    std::fs::remove_file(yard.path("well")).unwrap();
    becomes(Health::Unhealthy).await;
    let seen = yard.seen("web").await;
    assert_eq!((seen.condition(0), yard.processes().len()), (Condition::Unhealthy, 1));
    assert_eq!(seen.checks.len(), CHECKS_KEPT);
    assert!(seen.checks.is_sorted_by_key(|run| run.at) && seen.checks[0].at >= seen.started.unwrap() && !seen.checks[4].good, "{seen:?}");
    yard.host.restart(&web, None).await.unwrap();
    let seen = yard.seen("web").await;
    assert_eq!(seen.health, Health::Starting, "it begins anew");
    assert!(seen.checks.iter().all(|run| run.at >= seen.started.unwrap()), "{seen:?}");
    yard.host.stop(&web, None).await.unwrap();
    within("the end is told", changes.next()).await;
    yard.empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_starts_at_once_are_one_process() {
    let (yard, worker) = (Yard::new(), key("worker"));
    let spec = yard.command(&SLEEPS);
    let others = [host(&yard.data), host(&yard.data), host(&yard.data)];
    let mut longest = Duration::ZERO;
    for round in 0..ROUNDS {
        let began = Instant::now();
        let (one, two, three) =
            tokio::join!(others[0].start(&worker, &spec), others[1].start(&worker, &spec), others[2].start(&worker, &spec));
        longest = longest.max(began.elapsed());
        assert_eq!((one, two, three), (Ok(()), Ok(()), Ok(())), "round {round}");
        assert_eq!((yard.processes().len(), yard.keepers().len()), (1, 1), "round {round}");
        let _ = tokio::join!(others[0].stop(&worker, None), others[1].stop(&worker, None));
        assert_eq!(yard.processes(), Vec::<i32>::new(), "round {round}");
        // It lets go of the place before the kernel is done with it.
        yard.empty().await;
    }
    eprintln!("the longest of {ROUNDS} starts by three at once took {longest:?}");

    // Past all turns, too: the lock alone must do.
    yard.host.start(&worker, &spec).await.unwrap();
    let before = yard.processes();
    let mark = format!("{}-keeper", std::fs::read_to_string(yard.place("worker").join("mark")).unwrap());
    let keep = || {
        let mut keeper = command(env!("CARGO_BIN_EXE_dockmaster"));
        keeper
            .arg("keep-process")
            .arg(yard.place("worker"))
            .env("DOCKMASTER_OPERATION", &mark)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        keeper.spawn().unwrap()
    };
    let late: Vec<_> = (0..5).map(|_| keep()).collect();
    for mut one in late {
        eventually("a second keeper ends", async || one.try_wait().unwrap().is_some()).await;
        let ended = one.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), String::from_utf8(ended.stdout).unwrap().as_str()), (Some(0), "\"taken\"\n"));
    }
    assert_eq!((yard.processes(), yard.keepers().len()), (before, 1));
}

/// Not a test: what is run, and killed, by the next one.
#[tokio::test]
async fn somebody_who_starts_one() {
    let Some(data) = std::env::var_os("DOCKMASTER_TEST_CALLER") else { return };
    let spec = serde_json::from_str(&std::env::var("DOCKMASTER_TEST_SPEC").unwrap()).unwrap();
    let host = host(Path::new(&data));
    println!("now");
    loop {
        host.start(&key("worker"), &spec).await.unwrap();
        host.restart(&key("worker"), None).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_starts_it_can_be_killed_at_any_time_and_it_is_neither_lost_nor_there_twice() {
    use std::io::BufRead;
    let (yard, worker) = (Yard::new(), key("worker"));
    let spec = yard.command(&SLEEPS);
    let mut lost = 0;
    for round in 0..ROUNDS {
        let mut caller = command(std::env::current_exe().unwrap())
            .args(["processes::somebody_who_starts_one", "--exact", "--nocapture"])
            .env("DOCKMASTER_TEST_CALLER", &yard.data)
            .env("DOCKMASTER_TEST_SPEC", serde_json::to_string(&spec).unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufReader::new(caller.stdout.take().unwrap()).lines();
        while !lines.next().unwrap().unwrap().contains("now") {}
        // From before the first file to after some restarts.
        tokio::time::sleep(Duration::from_micros(((round * 7_919) % 150_000) as u64)).await;
        caller.kill().unwrap();
        caller.wait().unwrap();
        assert!(yard.processes().len() <= 1, "round {round}: {:?}", yard.processes());
        // Whoever comes next.
        let resumed = host(&yard.data).resume(|_| true).await.unwrap();
        assert!(resumed.iter().all(|(_, resumed)| resumed.is_ok()), "round {round}: {resumed:?}");
        lost += resumed.len();
        yard.host.start(&worker, &spec).await.unwrap();
        assert_eq!(yard.processes().len(), 1, "round {round}");
        // One that came too late looks for a moment whether the other one stays.
        eventually("one keeper is left", async || yard.keepers().len() == 1).await;
        assert_eq!(yard.processes().len(), 1, "round {round}");
        if round % 2 == 0 {
            yard.host.stop(&worker, None).await.unwrap();
        }
    }
    eprintln!("{lost} of {ROUNDS} were started by whoever came next");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_that_is_killed_leaves_nothing_that_would_run_twice() {
    let yard = Yard::new();
    // The second has thrown away by what it could be found.
    for (service, command) in [("plain", SLEEPS.to_vec()), ("bare", [vec!["env", "-i"], SLEEPS.to_vec()].concat())] {
        let (key, spec) = (key(service), yard.command(&command));
        for resumes in [false, true] {
            yard.host.start(&key, &spec).await.unwrap();
            let written = std::fs::read_to_string(yard.place(service).join("state.json")).unwrap();
            let state: serde_json::Value = serde_json::from_str(&written).unwrap();
            let pid = i32::try_from(state["process"]["pid"].as_i64().unwrap()).unwrap();
            for keeper in yard.keepers() {
                signal(keeper, Signal::KILL);
            }
            yard.is(service, State::Unknown).await;
            assert!(Path::new(&format!("/proc/{pid}")).exists(), "it runs on");
            assert!(yard.seen(service).await.error.contains("nothing watches it"));
            assert!(matches!(yard.host.remove(&key).await, Err(HostError::Runs(_))));
            if resumes {
                assert_eq!(yard.host.resume(|_| true).await.unwrap(), [(key.clone(), Ok(()))]);
            } else {
                yard.host.start(&key, &spec).await.unwrap();
            }
            assert_eq!((yard.seen(service).await.state, yard.keepers().len()), (State::Running, 1));
            eventually("the old one is gone", async || !Path::new(&format!("/proc/{pid}")).exists()).await;
        }
        for keeper in yard.keepers() {
            signal(keeper, Signal::KILL);
        }
        yard.is(service, State::Unknown).await;
        yard.host.stop(&key, None).await.unwrap();
        assert_eq!((yard.seen(service).await.state, yard.processes()), (State::Exited, vec![]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reboot_ended_is_not_told_as_running_and_comes_back() {
    let yard = Yard::new();
    let spec = yard.command(&SLEEPS);
    for service in ["one", "two", "gone"] {
        yard.host.start(&key(service), &spec).await.unwrap();
    }
    yard.host.stop(&key("two"), None).await.unwrap();
    for pid in yard.keepers().into_iter().chain(yard.processes()) {
        signal(pid, Signal::KILL);
    }
    yard.is("one", State::Exited).await;
    let seen = yard.seen("one").await;
    assert_eq!((seen.exit_code, seen.error.as_str()), (255, "it was ended together with what watched it"));
    let resumed = yard.host.resume(|key| key.service.as_str() != "gone").await.unwrap();
    assert_eq!(resumed, [(key("one"), Ok(()))], "one was stopped and one is not wanted any more");
    assert_eq!(yard.processes().len(), 1);

    // A machine that goes down asks first; the same is done to move the data.
    for keeper in yard.keepers() {
        signal(keeper, Signal::TERM);
    }
    yard.empty().await;
    assert_eq!(yard.host.resume(|key| key.service.as_str() == "one").await.unwrap().len(), 1);
    assert_eq!(yard.host.suspend().await.unwrap(), []);
    yard.empty().await;
    assert_eq!(yard.host.resume(|_| true).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_data_was_moved_is_ended_before_it_is_started_there() {
    let (yard, worker) = (Yard::new(), key("worker"));
    yard.host.start(&worker, &yard.command(&SLEEPS)).await.unwrap();
    let (before, moved) = (yard.processes(), yard.path("moved"));
    std::fs::rename(&yard.data, &moved).unwrap();
    let there = host(&moved);
    // Its keeper is reached in the new place, too, and knows only the old one.
    std::fs::remove_file(moved.join("processes/tools/worker/1/socket")).unwrap();
    std::fs::remove_file(moved.join("processes/tools/worker/1/lock")).unwrap();
    there.start(&worker, &yard.command(&SLEEPS)).await.unwrap();
    assert_eq!(yard.processes().len(), 1);
    assert_ne!(yard.processes(), before);
    there.stop(&worker, None).await.unwrap();
    std::fs::rename(&moved, &yard.data).unwrap();
    yard.empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_that_stands_still_is_said_and_can_be_ended() {
    let (yard, worker) = (Yard::new(), key("worker"));
    yard.host.start(&worker, &yard.command(&SLEEPS)).await.unwrap();
    yard.keepers().into_iter().for_each(|keeper| signal(keeper, Signal::STOP));
    let seen = yard.seen("worker").await;
    assert_eq!((seen.state, seen.error.as_str()), (State::Unknown, "what keeps it does not answer"));
    yard.host.stop(&worker, Some(Duration::from_millis(100))).await.unwrap();
    yard.empty().await;
    assert_eq!(yard.seen("worker").await.state, State::Exited);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_bounded_and_followed_from_file_to_file() {
    let (yard, chatty) = (Yard::new(), key("chatty"));
    const LINES: usize = 60_000;
    let count = |to: usize| format!("seq -f 'line %.0f of some length, so that there are several files of them in the end' {to}");
    let spec = yard.sh(&format!("echo first; while [ ! -e go ]; do sleep 0.02; done; {}; exec sleep 1000", count(LINES)));
    yard.host.start(&chatty, &spec).await.unwrap();
    yard.says("chatty", "first").await;
    let container = yard.seen("chatty").await;
    let mut followed = std::pin::pin!(yard.host.logs(&container, 5, None, true));
    assert_eq!(within("the first line", followed.next()).await.unwrap().unwrap().text, "first");
    std::fs::write(yard.path("go"), "").unwrap();
    for n in 1..=LINES {
        let line = within("the next line", followed.next()).await.unwrap().unwrap();
        assert!(line.text.starts_with(&format!("line {n} of")) && line.at.is_some() && line.frames == 1, "{n}: {line:?}");
    }
    let files = |yard: &Yard| {
        let all = std::fs::read_dir(yard.place("chatty")).unwrap().map(|e| e.unwrap());
        let logs = all.filter(|e| e.file_name().to_string_lossy().starts_with("log"));
        logs.map(|e| e.metadata().unwrap().len()).collect::<Vec<u64>>()
    };
    assert!(files(&yard).len() >= 3, "{:?}", files(&yard));
    // Over the border between two files, and all that there is.
    let tail = yard.log("chatty", 45_000).await;
    assert_eq!(tail.len(), 45_000);
    for (line, n) in tail.iter().zip(LINES - 45_000 + 1..) {
        assert!(line.starts_with(&format!("line {n} of")), "{n}: {line}");
    }
    let since = |at| yard.host.logs(&container, 100_000, Some(at), false).try_collect::<Vec<_>>();
    assert_eq!(since(container.started.unwrap() / 1_000 + 1_000).await.unwrap(), []);
    assert_eq!(since(container.started.unwrap() / 1_000 - 1).await.unwrap().len(), LINES + 1);
    yard.host.stop(&chatty, None).await.unwrap();
    assert!(within("it ends with it", followed.next()).await.is_none());

    // However much it writes.
    let spec = yard.sh(&format!("{}; echo last; exec sleep 1000", count(200_000)));
    yard.host.start(&chatty, &spec).await.unwrap();
    yard.says("chatty", "last").await;
    let files = files(&yard);
    assert!(files.len() == 5 && files.iter().all(|size| *size <= 2 * 1024 * 1024), "{files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn output_of_any_kind_does_no_harm() {
    let (yard, hostile) = (Yard::new(), key("hostile"));
    let binary = "head -c 300000 /dev/urandom; echo; printf '\\033[31mred\\033[0m\\033]0;title\\007 plain\\n2026-01-01T00:00:00Z not a time of ours\\n'";
    let script = format!("{binary}; head -c 1000000 /dev/zero | tr '\\0' x; echo; echo '{{\"ask\":\"stop\"}}'; printf 'no newline'");
    let mut spec = yard.sh(&script);
    spec.restart = RestartRule::No;
    yard.host.start(&hostile, &spec).await.unwrap();
    yard.is("hostile", State::Exited).await;
    let log = yard.log("hostile", 1_000_000).await;
    let last: Vec<&str> = log.iter().rev().take(5).map(String::as_str).collect();
    assert_eq!(
        (last[0], last[1], last[3], last[4]),
        ("no newline", "{\"ask\":\"stop\"}", "2026-01-01T00:00:00Z not a time of ours", "red plain")
    );
    assert!(last[2].ends_with("x … (998000 more bytes)") && last[2].len() < 2_100, "{}", last[2].len());
    assert!(log.iter().all(|line| !line.contains(|c: char| c.is_control())), "fit to show");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_lines_a_second_are_all_there_and_cost_little() {
    let (yard, steady) = (Yard::new(), key("steady"));
    let spec = yard.sh("for tenth in $(seq 30); do seq -f 'line %.0f of a usual length, as programs write them all day long' 100; sleep 0.1; done; echo end; exec sleep 1000");
    yard.host.start(&steady, &spec).await.unwrap();
    let spent = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>()
    };
    let keeper = yard.keepers()[0];
    let before = spent(keeper);
    // Looking costs it as well.
    let log = yard.place("steady").join("log");
    eventually("all is written", async || std::fs::read_to_string(&log).unwrap_or_default().ends_with(" end\n")).await;
    let ticks = spent(keeper) - before;
    let status = std::fs::read_to_string(format!("/proc/{keeper}/status")).unwrap();
    let memory: Vec<&str> = status.lines().filter(|l| ["VmRSS", "RssAnon"].iter().any(|name| l.starts_with(name))).collect();
    eprintln!("3,000 lines in 3 s took a keeper {ticks} ticks of 10 ms; {memory:?}");
    assert_eq!(yard.log("steady", 10_000).await.len(), 3_001);
    assert!(ticks < 100, "{ticks}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_nothing_and_what_it_costs_is_said() {
    let (yard, busy) = (Yard::new(), key("busy"));
    let disk = SmallDisk::mount(&yard.data, "1m");
    let spec = yard.sh("n=0; while :; do n=$((n+1)); echo line $n; echo $n >turns; sleep 0.01; done");
    yard.host.start(&busy, &spec).await.unwrap();
    yard.says("busy", "line 1").await;
    disk.fill(0);
    let turns = || std::fs::read_to_string(yard.path("turns")).ok().and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or(0);
    let size = || std::fs::metadata(yard.place("busy").join("log")).unwrap().len();
    // The last page of it is filled first.
    eventually("no line fits any more", async || {
        let before = size();
        tokio::time::sleep(Duration::from_millis(300)).await;
        size() == before
    })
    .await;
    let before = turns();
    eventually("it goes on", async || turns() > before + 200).await;
    assert_eq!(yard.seen("busy").await.state, State::Running);
    yard.host.restart(&busy, None).await.unwrap();
    // What it starts looks like itself for a moment.
    eventually("there is one of it", async || yard.processes().iter().filter(|pid| is_shell(**pid)).count() == 1).await;
    disk.free();
    let lost =
        |line: &String| line.starts_with("dockmaster: ") && line.ends_with("lines were lost here, because they could not be written down");
    eventually("it is said how much is missing", async || yard.log("busy", 10_000).await.iter().any(lost)).await;
    eventually("and it goes on", async || yard.log("busy", 1).await.first().is_some_and(|line| line.starts_with("line "))).await;
    let all = yard.log("busy", 10_000).await;
    assert!(all.iter().all(|line| line.starts_with("line ") || lost(line)), "no half lines");
    disk.fill(0);
    yard.host.stop(&busy, None).await.unwrap();
    assert_eq!((yard.processes(), yard.seen("busy").await.state), (vec![], State::Exited));
    // Nothing begins that could not be found again.
    let refused = yard.host.start(&key("other"), &spec).await.unwrap_err();
    assert!(refused.to_string().contains("No space left"), "{refused}");
    yard.empty().await;
    drop(disk);
}

fn is_shell(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sh")
}
