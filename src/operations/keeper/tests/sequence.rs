//! Whatever is done to the files, one thing after another: in the end the last valid ones are in force.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::*;
use kinds::{KINDS, touch};

/// What somebody does.
#[derive(Debug, Clone)]
enum Step {
    /// Saves the file in one of the ways.
    Save(usize, What),
    /// Takes it away.
    Delete,
    /// Saves a file that is included: a good one, or one with a mistake.
    Include(bool),
    Touch,
    /// Asks for a reload.
    Reload,
    /// Ends dockmaster, and starts it again.
    Restart,
}

/// What is saved.
#[derive(Debug, Clone)]
enum What {
    Good,
    Mistake,
    /// As much of a good one, in hundredths.
    Part(usize),
}

/// A step, and how long is waited then, in milliseconds; none where it is until that has come to something.
type Timed = (Step, Option<u64>);

fn steps() -> impl Strategy<Value = Vec<Timed>> {
    let what = prop_oneof![4 => Just(What::Good), 2 => Just(What::Mistake), 2 => (0..100usize).prop_map(What::Part)];
    let step = prop_oneof![
        12 => (0..KINDS.len(), what).prop_map(|(kind, what)| Step::Save(kind, what)),
        1 => Just(Step::Delete),
        4 => any::<bool>().prop_map(Step::Include),
        1 => Just(Step::Touch),
        1 => Just(Step::Reload),
        1 => Just(Step::Restart),
    ];
    let wait = prop_oneof![2 => Just(None), 1 => (0..40u64).prop_map(Some), 1 => (0..400u64).prop_map(Some)];
    prop::collection::vec((step, wait), 1..16)
}

/// Read soon after it was saved, so that much of what is between two saves is seen.
fn quick(watch: Watching, number: usize) -> String {
    text(watch, number).replace("\"watch\"", "\"debounce\": \"10ms\", \"poll\": \"100ms\", \"watch\"")
}

/// The files as they should be, and what may be in force.
struct Model {
    /// The number of what the main file says; none where it says nothing good.
    main: Option<usize>,
    /// Whether the included file is good.
    included: bool,
    /// What was saved and is valid, or was at some time.
    valid: BTreeSet<usize>,
    /// What may be in force now: what surely was, and everything valid that came after it.
    possible: BTreeSet<usize>,
}

impl Model {
    /// The number that is in force once somebody has looked; none where the files have a mistake.
    fn wanted(&self) -> Option<usize> {
        self.main.filter(|_| self.included)
    }

    /// Something was done.
    fn note(&mut self) {
        let wanted = self.wanted();
        self.valid.extend(wanted);
        self.possible.extend(wanted);
    }

    /// This is in force, and stays so unless something valid comes.
    fn settle(&mut self, in_force: usize) {
        assert!(self.possible.contains(&in_force), "{in_force} is none of {:?}", self.possible);
        assert!(self.wanted().is_none_or(|wanted| wanted == in_force));
        self.possible = [in_force].into();
    }
}

/// The keeper at work on files.
struct Scene {
    kept: Kept,
    watch: Watching,
    model: Model,
    /// What was in force, in order; one that is not whole is none.
    seen: Vec<AbortOnDropHandle<Vec<usize>>>,
}

/// The numbers of everything that is in force until the keeper has gone.
fn follow(mut config: latest::Receiver<Arc<Configuration>>) -> AbortOnDropHandle<Vec<usize>> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut seen = Vec::new();
        while config.changed().await.is_ok() {
            seen.push(number(&config.borrow_and_update()));
        }
        seen
    }))
}

impl Scene {
    async fn new(watch: Watching) -> Self {
        let kept = Kept::new(|root| plain(root, &quick(watch, 0))).await;
        fs::create_dir(kept.path("projects.d")).unwrap();
        let seen = vec![follow(kept.config.clone())];
        Self { kept, watch, model: Model { main: Some(0), included: true, valid: [0].into(), possible: [0].into() }, seen }
    }

    /// Does it; `n` is the number of the step.
    async fn take(mut self, step: Step, n: usize) -> Self {
        let etc = self.kept.path("");
        let file = self.kept.path("projects.json");
        match step {
            Step::Save(kind, what) => {
                let good = quick(self.watch, n);
                let text = match what {
                    What::Good => good,
                    What::Mistake => good.replace("viewer", "boss"),
                    What::Part(hundredths) => good[..good.len() * hundredths / 100].to_owned(),
                };
                self.model.main = matches!(what, What::Good).then_some(n);
                KINDS[kind].1(&etc, &text, n);
            }
            Step::Delete => {
                self.model.main = None;
                let _ = fs::remove_file(file);
            }
            Step::Include(good) => {
                self.model.included = good;
                let name = if good { "edge" } else { "-" };
                let text = format!("{{ \"projects\": {{ \"edge\": {{ \"containers\": [\"{name}\"] }} }} }}");
                fs::write(self.kept.path("projects.d/edge.json"), text).unwrap();
            }
            Step::Touch if file.exists() => touch(&etc),
            Step::Touch => {}
            Step::Reload => {
                let came = self.kept.keeper.reload(Cause::Asked { who: "a signal".into() }, None).await.unwrap();
                assert_eq!(matches!(came, Reloaded::Rejected(_)), self.model.wanted().is_none(), "{came:?}");
                self.settle();
            }
            Step::Restart => {
                let config = self.kept.config.clone();
                let (place, history) = self.kept.end().await;
                let before = number(&config.borrow());
                self.kept = Kept::again(place, history).await;
                self.seen.push(follow(self.kept.config.clone()));
                let now = number(&self.kept.config.borrow());
                assert_eq!(now, self.model.wanted().unwrap_or(before));
                self.settle();
            }
        }
        self.model.note();
        self
    }

    fn settle(&mut self) {
        let in_force = number(&self.kept.config.borrow());
        self.model.settle(in_force);
    }

    /// Waits until the files have come to what they must come to.
    async fn come_to_rest(&mut self) {
        let read = || crate::config::read(&self.kept.path("projects.json"));
        let problems = read().map_or_else(|error| vec![format!("{error}.")], |c| c.problems.iter().map(ToString::to_string).collect());
        assert_eq!(problems.is_empty(), self.model.wanted().is_some(), "{problems:?}");
        if let Some(wanted) = self.model.wanted() {
            self.kept.in_force(wanted).await;
        }
        let told = |standing: &Standing| standing.rejected.as_ref().map(|rejected| rejected.problems.clone()).unwrap_or_default();
        let mut standing = self.kept.keeper.standing.clone();
        timeout(AMPLE, standing.wait_for(|standing| told(standing) == problems)).await.expect("what is wrong is told").unwrap();
        self.settle();
    }
}

async fn run(watch: Watching, steps: Vec<Timed>) {
    let mut scene = Scene::new(watch).await;
    for (at, (step, wait)) in steps.into_iter().enumerate() {
        scene = scene.take(step, at + 1).await;
        match wait {
            Some(wait) => sleep(Duration::from_millis(wait)).await,
            None => scene.come_to_rest().await,
        }
    }
    scene.come_to_rest().await;
    let Scene { kept, model, seen, .. } = scene;
    drop(kept.end().await);
    let mut all = Vec::new();
    for part in seen {
        all.extend(timeout(AMPLE, part).await.expect("the keeper has gone").expect("each is whole"));
    }
    assert!(all.is_sorted() && all.iter().all(|number| model.valid.contains(number)), "{all:?} of {:?}", model.valid);
}

#[test]
fn whatever_is_done_to_the_files_the_last_valid_ones_are_in_force() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let rounds = long::rounds(3);
    let cases = u32::try_from(rounds.end - rounds.start).unwrap();
    let rng_seed = if long::asked().is_some() { RngSeed::Fixed(rounds.start) } else { RngSeed::Random };
    let config = Config { cases, rng_seed, failure_persistence: None, max_shrink_time: 60_000, ..Config::default() };
    let watch = prop_oneof![Just(Watching::Events), Just(Watching::Poll)];
    let ran = TestRunner::new(config).run(&(watch, steps()), |(watch, steps)| {
        runtime.block_on(run(watch, steps));
        Ok(())
    });
    ran.unwrap_or_else(|why| panic!("{why}"));
}
