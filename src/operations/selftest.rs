//! `config selftest`: a configuration of its own beside the real one is saved in every way, with the real watcher and the
//! real checks, and it is seen whether each save comes into force.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::keeper::{self, Beginning, Keeper, Return, Surroundings};
use super::scratch::Scratch;
use super::verify::millis;
use crate::config::{self, Sources};
use crate::domain::reload::{ReloadPolicy, Reloaded, Standing, Watching};
use crate::domain::selftest::{SelfTest, Trial};
use crate::domain::snapshot::{Cause, Way};
use crate::domain::untrusted::UntrustedText;

/// How long a change may take, besides what the configuration itself waits for.
const LIMIT: Duration = Duration::from_secs(2);
/// The main file's name.
const MAIN: &str = "projects.json";
/// The included file's name.
const INCLUDED: &str = "projects.d/one.json";

/// A way to save: where, and what.
type Save = fn(&Path, &str) -> io::Result<()>;

/// The ways in which files are saved.
const SAVES: [(&str, Save); 6] = [
    ("saved in place", |place, text| fs::write(place.join(MAIN), text)),
    ("saved in two writes", |place, text| {
        let (first, rest) = text.as_bytes().split_at(text.len() / 2);
        let mut file = File::create(place.join(MAIN))?;
        file.write_all(first)?;
        std::thread::sleep(Duration::from_millis(50));
        file.write_all(rest)
    }),
    ("saved under another name and renamed", |place, text| {
        fs::write(place.join(".new"), text)?;
        fs::rename(place.join(".new"), place.join(MAIN))
    }),
    ("deleted and made again", |place, text| {
        fs::remove_file(place.join(MAIN))?;
        std::thread::sleep(Duration::from_millis(50));
        fs::write(place.join(MAIN), text)
    }),
    ("a file that it includes", |place, text| {
        let projects = format!(r#"{{ "projects": {{ "p{}": {{ "containers": ["c"] }} }} }}"#, text.len());
        fs::write(place.join(INCLUDED), projects)
    }),
    // As orchestrators mount settings. Last, since it makes links of what were files.
    ("a link that is swapped", |place, text| {
        let version = place.join(format!("..{}", text.len()));
        fs::create_dir(&version)?;
        fs::write(version.join(MAIN), text)?;
        symlink(&version, place.join("..next"))?;
        fs::rename(place.join("..next"), place.join("..data"))?;
        symlink(Path::new("..data").join(MAIN), place.join(".new"))?;
        fs::rename(place.join(".new"), place.join(MAIN))
    }),
];

/// Tries it, with the way of watching that the file at `path` asks for.
///
/// # Errors
/// There is no place for it.
pub async fn selftest(path: &Path, around: Surroundings) -> Result<SelfTest, String> {
    let policy = match config::read(path) {
        Ok(checked) => checked.configuration.map(|config| config.reload).unwrap_or_default(),
        Err(_) => ReloadPolicy::default(),
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (scratch, on_the_spot) = match Scratch::below(directory) {
        Ok(scratch) => (scratch, true),
        Err(_) => (Scratch::new().map_err(|e| format!("There is no place for files: {e}."))?, false),
    };
    let place = scratch.path().to_owned();
    let unprepared = |e: io::Error| format!("{} cannot be written: {e}.", UntrustedText::path(&place));
    fs::create_dir(place.join("projects.d")).and_then(|()| fs::write(place.join(MAIN), text(&policy, 0))).map_err(unprepared)?;
    let Beginning { keeper, keeping, configuration: _kept } = keeper::begin(place.join(MAIN), around).await?;
    let _task = AbortOnDropHandle::new(tokio::spawn(keeping.run()));
    let standing = keeper.standing();
    let slowest = if standing.watching == Watching::Poll { policy.poll } else { Duration::ZERO };
    let limit = LIMIT.max(slowest + policy.debounce * 2 + LIMIT / 2);
    let mut test = Test { place, policy, keeper, limit, number: 0, trials: Vec::new() };
    test.all().await;
    Ok(SelfTest {
        directory: directory_shown(directory, &test.place, on_the_spot),
        on_the_spot,
        watching: standing.watching,
        because: standing.because,
        limit: millis(limit),
        trials: test.trials,
    })
}

fn directory_shown(directory: &Path, scratch: &Path, on_the_spot: bool) -> String {
    let shown = if on_the_spot { directory } else { scratch.parent().unwrap_or(scratch) };
    shown.display().to_string()
}

/// A configuration that is watched as the real one, and differs by its number.
fn text(policy: &ReloadPolicy, number: usize) -> String {
    let (watch, poll, debounce) = (policy.watch.word(), policy.poll.as_millis(), policy.debounce.as_millis());
    format!(
        r#"{{ "access": {{ "users": {{ "1": "admin" }} }}, "include": ["projects.d/*.json"],
  "reload": {{ "watch": "{watch}", "poll": "{poll}ms", "debounce": "{debounce}ms" }}, "projects": {{}} }}{}"#,
        " ".repeat(number)
    )
}

struct Test {
    place: PathBuf,
    policy: ReloadPolicy,
    keeper: Keeper,
    limit: Duration,
    number: usize,
    trials: Vec<Trial>,
}

impl Test {
    async fn all(&mut self) {
        for (what, save) in SAVES {
            if what == SAVES[SAVES.len() - 1].0 {
                // As long as these are files.
                self.rejected().await;
                self.touched().await;
                self.rolled_back().await;
            }
            self.number += 1;
            let (before, text) = (self.keeper.standing().snapshot, text(&self.policy, self.number));
            let saved = save(&self.place, &text).map_err(|e| e.to_string());
            let since = Instant::now();
            let came = match saved {
                Ok(()) => self.until(|standing| standing.snapshot != before && standing.rejected.is_none()).await,
                Err(why) => Err(why),
            };
            self.note(what, since, came);
        }
    }

    fn note(&mut self, what: &str, since: Instant, came: Result<(), String>) {
        self.trials.push(Trial { what: what.to_owned(), took: millis(since.elapsed()), failed: came.err() });
    }

    /// Waits until it stands so. Where nothing is watched it is asked for.
    async fn until(&self, holds: impl Fn(&Standing) -> bool) -> Result<(), String> {
        if self.keeper.standing().watching == Watching::Off {
            drop(self.keeper.reload(Cause::Saved, None).await);
        }
        let mut standing = self.keeper.standings();
        match timeout(self.limit, standing.wait_for(holds)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err("whoever watches has ended".to_owned()),
            Err(_) => Err("it was not noticed".to_owned()),
        }
    }

    /// Half a file changes nothing, and is told with its place.
    async fn rejected(&mut self) {
        let (since, main) = (Instant::now(), self.place.join(MAIN));
        let before = self.keeper.standing().snapshot;
        let tried = async {
            let whole = fs::read(&main).map_err(|e| e.to_string())?;
            fs::write(&main, &whole[..whole.len() / 2]).map_err(|e| e.to_string())?;
            self.until(|standing| standing.rejected.is_some()).await?;
            let standing = self.keeper.standing();
            let problems = standing.rejected.map(|rejected| rejected.problems).unwrap_or_default();
            if standing.snapshot != before {
                return Err("half of it came into force".to_owned());
            }
            if !problems.iter().all(|problem| problem.starts_with(|c: char| c.is_ascii_digit())) {
                return Err(format!("its place is not told: {}", problems.join("; ")));
            }
            fs::write(&main, &whole).map_err(|e| e.to_string())?;
            self.until(|standing| standing.rejected.is_none()).await
        };
        let came = tried.await;
        self.note("half a file, rejected, and made whole", since, came);
    }

    /// What says the same is no change.
    async fn touched(&mut self) {
        let (since, before) = (Instant::now(), self.keeper.standing().snapshot);
        let touched = File::options().append(true).open(self.place.join(MAIN)).and_then(|file| {
            #[expect(clippy::disallowed_methods, reason = "a file's time is the machine's")]
            file.set_modified(std::time::SystemTime::now())
        });
        let came = match touched.map_err(|e| e.to_string()) {
            // Asked to read it, since there is nothing to wait for.
            Ok(()) => match self.keeper.reload(Cause::Saved, None).await {
                Some(Reloaded::Unchanged) if self.keeper.standing().snapshot == before => Ok(()),
                other => Err(format!("it counted as a change: {other:?}")),
            },
            Err(why) => Err(why),
        };
        self.note("touched, which is no change", since, came);
    }

    /// A version comes back as it was.
    async fn rolled_back(&mut self) {
        let since = Instant::now();
        let tried = async {
            // What the first version did not include would be included again.
            fs::remove_file(self.place.join(INCLUDED)).map_err(|e| e.to_string())?;
            drop(self.keeper.reload(Cause::Saved, None).await);
            let plan = self.keeper.plan(1).await.ok_or("whoever watches has ended")?.map_err(|refusal| format!("{refusal:?}"))?;
            if let Way::Pin { why } = &plan.way {
                return Err(format!("it would have to be pinned, since {why}"));
            }
            let wanted = Return { to: 1, digest: plan.digest, who: "selftest".into(), asker: None };
            let back = self.keeper.go_back(wanted).await.ok_or("whoever watches has ended")?;
            let applied = back.map_err(|refusal| format!("{refusal:?}"))?;
            let there = Sources::read(&self.place.join(MAIN)).map_err(|e| e.to_string())?;
            match there == Sources::alone(text(&self.policy, 0)) && !applied.pinned {
                true => Ok(()),
                false => Err(applied.unwritten.unwrap_or_else(|| "the file is another one".to_owned())),
            }
        };
        let came = tried.await;
        self.note("rolled back to the first version", since, came);
    }
}
