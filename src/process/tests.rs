use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::sleep;

use super::group::NICENESS;
use super::*;

/// Long enough that only a hang reaches it.
const AMPLE: Duration = Duration::from_secs(30);

fn sh(script: &str) -> Invocation {
    Invocation::new("sh").arg("-c").arg(script).limit(AMPLE)
}

/// A mark that nobody else uses.
fn mark(test: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{test}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

async fn quietly(invocation: &Invocation) -> Result<Finished, ProcessError> {
    run(invocation, &mut |_| {}, &CancellationToken::new()).await
}

#[tokio::test]
async fn output_code_input_and_lines_arrive() {
    let mut lines = Vec::new();
    let script = "cat; printf 'one\\rtwo\\n\\033[31mthree\\033[0m' >&2; exit 3";
    let done = run(&sh(script).stdin("in\0put"), &mut |l| lines.push(l.to_owned()), &CancellationToken::new()).await.unwrap();
    assert_eq!(done.code, Some(3));
    assert!(!done.success());
    assert_eq!(done.stdout, b"in\0put");
    assert_eq!(lines, ["one", "two", "three"], "standard error only");
    assert_eq!(done.tail.len(), 4, "{:?}", done.tail);
    let killed = quietly(&sh("kill -9 $$")).await.unwrap();
    assert_eq!(killed.code, None);
    let unread = quietly(&sh("exec 0<&-; exit 4").stdin(vec![b'x'; 1_000_000])).await.unwrap();
    assert_eq!(unread.code, Some(4), "input that nobody reads is no failure");
}

#[tokio::test]
async fn a_process_stands_back() {
    let wanted = (rustix::process::getpriority_process(None).unwrap() + NICENESS).min(19).to_string();
    let wait = sh("until [ \"$(nice)\" -ge \"$1\" ]; do :; done").arg("sh").arg(wanted);
    assert!(quietly(&wait).await.unwrap().success());
}

#[tokio::test]
async fn lines_of_standard_output_are_reported_where_asked() {
    let mut lines = Vec::new();
    let counting = sh("i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo $i; done").stdout_lines();
    let done = run(&counting, &mut |l| lines.push(l.to_owned()), &CancellationToken::new()).await.unwrap();
    assert_eq!(lines.len(), 50);
    assert_eq!(done.stdout, b"");
    assert_eq!((done.tail.first().unwrap().as_str(), done.tail.len()), ("11", TAIL_LINES));
}

#[tokio::test]
async fn the_environment_is_cleared() {
    // Cargo sets this for tests; it stands for everything that is not on the list.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let done = quietly(&Invocation::new("env").environment("OWN", "1").environment("TZ", "here")).await.unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|l| l.split('=').next()).collect();
    assert!(names.iter().all(|n| PASSED.contains(n) || *n == "OWN"), "{names:?}");
    assert!(names.contains(&"PATH") && text.contains("OWN=1\n") && text.contains("TZ=here\n"), "{text}");
    assert!(!PASSED.iter().any(|n| n.contains("TOKEN") || n.starts_with("TELOXIDE")));
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let missing = quietly(&Invocation::new("no-such-program-here")).await.unwrap_err();
    assert_eq!(missing.to_string(), "no-such-program-here is not installed");
    let nowhere = quietly(&sh("true").directory("/no/such/directory")).await.unwrap_err();
    assert_eq!(nowhere.to_string(), "sh could not be started: the directory /no/such/directory is not there");
    let unfit = quietly(&Invocation::new("/")).await.unwrap_err();
    assert!(matches!(unfit, ProcessError::Spawn { .. }), "{unfit}");
}

#[tokio::test]
async fn the_time_limit_leaves_no_survivor() {
    let mark = mark("limit");
    // The grandchild ignores the request to end.
    let stubborn = sh("(trap '' TERM; sleep 300 & while :; do wait; done) & echo up >&2; wait").environment(MARK, &mark);
    let mut seen = false;
    let error = run(&stubborn.limit(Duration::from_secs(2)), &mut |_| seen = true, &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "sh was ended because it took longer than 2 s");
    assert!(matches!(error, ProcessError::TimedOut { tail, .. } if tail == ["up"]));
    assert!(seen);
    assert!(survivors(&mark).is_empty());
}

#[tokio::test]
async fn cancelling_ends_it() {
    let mark = mark("cancel");
    let cancel = CancellationToken::new();
    let from_within = cancel.clone();
    let sleeping = sh("sleep 300 & echo up >&2; sleep 300").environment(MARK, &mark);
    let started = Instant::now();
    let error = run(&sleeping, &mut |_| from_within.cancel(), &cancel).await.unwrap_err();
    assert_eq!(error, ProcessError::Cancelled { program: "sh".into() });
    assert!(started.elapsed() < PATIENCE, "they end when asked");
    assert!(survivors(&mark).is_empty());
    let mut touched = false;
    let error = run(&sh("echo >&2 x"), &mut |_| touched = true, &cancel).await.unwrap_err();
    assert!(matches!(error, ProcessError::Cancelled { .. }) && !touched, "nothing starts once cancelled");
}

#[tokio::test]
async fn dropping_the_future_ends_the_group() {
    let mark = mark("drop");
    let sleeping = sh("trap '' TERM; sleep 300 & echo up >&2; wait").environment(MARK, &mark);
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    {
        let cancel = CancellationToken::new();
        let mut on_line = |_: &str| tell.send(()).unwrap();
        tokio::select! {
            _ = run(&sleeping, &mut on_line, &cancel) => panic!("it sleeps"),
            _ = told.recv() => {}
        }
    }
    // They were killed already; this waits for the kernel to be done with them.
    assert!(survivors(&mark).len() <= 2);
    let until = Instant::now() + AMPLE;
    while !survivors(&mark).is_empty() {
        assert!(Instant::now() < until, "still there");
        sleep(POLL).await;
    }
}

#[tokio::test]
async fn a_background_child_that_holds_the_pipes_does_not_hang_it() {
    let mark = mark("background");
    let started = Instant::now();
    let done = quietly(&sh("sleep 300 & echo out; printf err >&2").environment(MARK, &mark)).await.unwrap();
    assert_eq!((done.code, done.stdout.as_slice(), done.tail.len()), (Some(0), b"out\n".as_slice(), 2), "{done:?}");
    assert!(started.elapsed() < AMPLE);
    assert!(survivors(&mark).is_empty(), "the group's survivors are ended");
}

#[tokio::test]
async fn an_endless_line_is_cut_while_it_streams() {
    let mut lines = Vec::new();
    let endless = sh("head -c 20000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo after >&2");
    let done = run(&endless, &mut |l| lines.push(l.to_owned()), &CancellationToken::new()).await.unwrap();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with("x … (19998000 more bytes)"), "{}", lines[0].len());
    assert_eq!(done.tail[1], "after");
}

#[tokio::test]
async fn too_much_output_ends_it() {
    let mark = mark("much");
    let error = quietly(&sh("cat /dev/zero").environment(MARK, &mark)).await.unwrap_err();
    assert_eq!(error.to_string(), "sh was ended because it wrote more than 32 MB");
    assert!(survivors(&mark).is_empty());
    let exact = format!("head -c {STDOUT_MAX} /dev/zero");
    assert_eq!(quietly(&sh(&exact)).await.unwrap().stdout.len(), STDOUT_MAX);
    let over = format!("head -c {} /dev/zero", STDOUT_MAX + 1);
    assert!(matches!(quietly(&sh(&over)).await, Err(ProcessError::TooMuch { .. })), "however quickly it ends");
}

#[tokio::test]
async fn survivors_are_found_by_their_mark_and_ended() {
    let ours = mark("survivor");
    let others = mark("survivor");
    // One leaves the group, and one of those ignores the request to end. Both lose their parent.
    let leaving = "setsid sleep 300 >/dev/null 2>&1 & setsid sh -c 'trap \"\" TERM; echo >&2; exec >&- 2>&-; while :; do sleep 1; done' &
        read -r line; exit 0";
    let leaving = sh(leaving).environment(MARK, &ours).stdin("x\n");
    assert!(quietly(&leaving).await.unwrap().success());
    assert!(!survivors(&ours).is_empty());
    assert!(survivors(&others).is_empty());
    assert!(survivors(&ours[..ours.len() - 1]).is_empty(), "not by the beginning of a mark");
    assert!(survivors("").is_empty());
    assert_eq!(end_survivors(&others, Duration::ZERO).await, 0);
    let ended = end_survivors(&ours, Duration::from_millis(300)).await;
    assert!(ended >= 2, "{ended}");
    assert!(survivors(&ours).is_empty());
}

#[tokio::test]
async fn a_process_without_a_limit_says_its_lines_in_order_and_how_it_ended() {
    let script = "echo one; echo two >&2; printf 'three\rfour' >&2; [ \"$TZ\" = here ] && kill -9 $$";
    let (mut running, mut output) = Running::start(&sh(script).environment("TZ", "here")).unwrap();
    let mut lines = Vec::new();
    while output.next(&mut |line| lines.push(line)).await {}
    assert_eq!(lines, ["one", "two", "three", "four"]);
    running.exited().await;
    assert!(running.is_gone() && running.identity().is_none(), "ended, though nobody has reaped it");
    assert_eq!(running.end().await, Exit { code: Some(137) });
    // It is the child that says that it is up: one that a signal meets between fork and exec may outlive that.
    let script = "trap 'exit 3' TERM; sh -c 'echo up; exec sleep 300' & wait";
    let (running, mut output) = Running::start(&sh(script)).unwrap();
    assert!(output.next(&mut |_| {}).await && !running.is_gone());
    running.ask();
    while output.next(&mut |_| {}).await {}
    assert_eq!(running.end().await.code, Some(3));
    assert!(matches!(Running::start(&Invocation::new("no-such-program-here")), Err(ProcessError::NotFound { .. })));
}

#[tokio::test]
async fn only_the_process_itself_is_ended_by_its_identity() {
    let (mut running, mut output) = Running::start(&sh("trap '' TERM; env -i sleep 300 & echo up; wait; wait")).unwrap();
    output.next(&mut |_| {}).await;
    let identity = running.identity().unwrap();
    // The number was somebody else's before, or in an earlier boot.
    for other in [Identity { born: identity.born + 1, ..identity.clone() }, Identity { boot: String::new(), ..identity.clone() }] {
        assert!(!end_group(&other, Duration::ZERO).await && identity.lives());
    }
    assert!(end_group(&identity, Duration::from_millis(50)).await);
    assert!(running.is_gone() && !identity.lives());
    running.exited().await;
    assert!(!end_group(&identity, Duration::ZERO).await, "nobody is there any more");
}

#[tokio::test]
async fn what_is_detached_carries_its_mark_and_says_one_line() {
    let mark = mark("detached");
    let args = ["-c", "echo $(env | grep -c -e CARGO -e NOTHING) $(pwd); exec sleep 300"].map(OsStr::new);
    let said = detach(std::path::Path::new("sh"), &args, &mark).unwrap().word(AMPLE).await;
    assert_eq!(said.as_deref(), Some("0 /"), "a cleared environment");
    assert!(end_survivors(&mark, AMPLE).await >= 1);
    let silent = detach(std::path::Path::new("true"), &[], &mark).unwrap();
    assert_eq!(silent.word(AMPLE).await, None);
    assert!(detach(std::path::Path::new("/no/such/program"), &[], &mark).is_err());
}
