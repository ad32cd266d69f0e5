//! The status of a small and of a large project beside the engine's own answers to the same questions: how long it takes,
//! and what it takes of the processor.
//!
//! What the engine is asked is asked anew for every status. Only what production's files declare is kept, for 20 seconds,
//! and renewed in the background: a request after that long is a cold one, the next ones are warm.

use std::time::Duration;

use crate::direct::{Connections, Direct};
use crate::scene::{PACE, Scene, containers, percentile, person};
use crate::shared::table::Table;
use crate::usage::processor;

/// How many containers the two projects have.
const SIZES: [usize; 2] = [10, 200];
/// How they are asked for.
const COMMANDS: [&str; 2] = ["/docker_status shop", "/docker_status p01"];
/// Longer than what the bot keeps of a project is used.
const COLD: Duration = Duration::from_secs(21);
/// How often it is asked warm in each round.
const WARM: usize = 5;
/// How many requests the processor's time is measured over: so many for the small project and for the large one.
const COUNTED: [usize; 2] = [100, 20];
/// The most that a status may take, in times what the engine's answers take.
const TIME_GOAL: f64 = 1.5;
/// The same of processor time.
const PROCESSOR_GOAL: f64 = 2.0;

/// What the rounds came to for one project, in seconds.
#[derive(Default)]
struct Figures {
    cold: Vec<f64>,
    cold_ratio: Vec<f64>,
    warm: Vec<f64>,
    warm_ratio: Vec<f64>,
    direct: Vec<f64>,
    /// The engine asked over connections that are made anew for each call.
    anew: Vec<f64>,
}

struct Projects {
    scene: Scene,
    direct: Direct,
}

/// Measures the time, the processor's time, or both.
pub(crate) async fn measure(rounds: usize, [time, processor]: [bool; 2], table: &mut Table) {
    eprintln!("status: making {} containers", SIZES.iter().sum::<usize>());
    let projects = Projects { scene: Scene::new(SIZES.map(containers).into()).await, direct: Direct::start() };
    projects.warm_up().await;
    if time {
        projects.time(rounds, table).await;
    }
    if processor {
        projects.processor(rounds, table).await;
    }
    projects.scene.end().await;
}

impl Projects {
    /// The first of everything makes connections and fills caches.
    async fn warm_up(&self) {
        for (size, command) in COMMANDS.into_iter().enumerate() {
            self.scene.status(person(0), command).await;
            self.engine(size, 1, Connections::Kept).await;
        }
        self.scene.settle().await;
    }

    async fn engine(&self, size: usize, times: usize, connections: Connections) -> crate::direct::Took {
        self.direct.ask(&self.scene.world.fixtures[size].name, times, connections).await
    }

    async fn time(&self, rounds: usize, table: &mut Table) {
        let mut all: [Figures; 2] = Default::default();
        for number in 1..=rounds {
            tokio::time::sleep(COLD).await;
            for (size, figures) in all.iter_mut().enumerate() {
                self.round(size, number, figures).await;
                let last = |figures: &[f64]| figures.last().map_or(0.0, |f| f * 1e3);
                eprintln!(
                    "status: {} containers, round {number} of {rounds}: cold {:.1} ms, warm {:.1} ms, engine {:.1} ms, without kept connections {:.1} ms",
                    SIZES[size],
                    last(&figures.cold),
                    last(&figures.warm),
                    last(&figures.direct),
                    last(&figures.anew)
                );
            }
        }
        for (size, figures) in SIZES.into_iter().zip(all) {
            let of = format!("status of {size} containers");
            table.require(format!("{of}, cold: asked to answered, in times the engine's answers"), figures.cold_ratio, "", TIME_GOAL);
            table.require(format!("{of}, warm: the same"), figures.warm_ratio, "", TIME_GOAL);
            for (what, figures) in [
                ("cold", figures.cold),
                ("warm", figures.warm),
                ("the engine's answers", figures.direct),
                ("the engine's answers, a connection for each call", figures.anew),
            ] {
                table.report(format!("{of}: {what}"), figures.into_iter().map(|f| f * 1e3).collect(), "ms");
            }
        }
    }

    /// One cold status and the engine asked the same, then several of each, warm.
    async fn round(&self, size: usize, number: usize, figures: &mut Figures) {
        let first = if number.is_multiple_of(2) { Some(self.engine(size, 1, Connections::Kept).await.time) } else { None };
        let cold = self.scene.status(person(0), COMMANDS[size]).await;
        self.scene.settle().await;
        let engine = match first {
            Some(engine) => engine,
            None => self.engine(size, 1, Connections::Kept).await.time,
        };
        figures.cold.push(cold);
        figures.cold_ratio.push(cold / engine);
        let (mut warm, mut direct, mut anew) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 1..=WARM {
            warm.push(self.scene.status(person(turn), COMMANDS[size]).await);
            direct.push(self.engine(size, 1, Connections::Kept).await.time);
            anew.push(self.engine(size, 1, Connections::Anew).await.time);
        }
        let median = |figures: &[f64]| percentile(figures, 50);
        figures.warm_ratio.push(median(&warm) / median(&direct));
        figures.warm.push(median(&warm));
        figures.direct.push(median(&direct));
        figures.anew.push(median(&anew));
    }

    async fn processor(&self, rounds: usize, table: &mut Table) {
        for (size, containers) in SIZES.into_iter().enumerate() {
            let (times, mut ratios, mut ours, mut direct) = (COUNTED[size], Vec::new(), Vec::new(), Vec::new());
            for number in 1..=rounds {
                let first = if number.is_multiple_of(2) { Some(self.engine(size, times, Connections::Kept).await.processor) } else { None };
                let status = self.processor_of_statuses(size, times).await;
                let engine = match first {
                    Some(engine) => engine,
                    None => self.engine(size, times, Connections::Kept).await.processor,
                };
                let each = |seconds: f64| seconds * 1e3 / times as f64;
                eprintln!(
                    "processor: {containers} containers, round {number} of {rounds}: status {:.2} ms, engine {:.2} ms",
                    each(status),
                    each(engine)
                );
                ratios.push(status / engine);
                ours.push(each(status));
                direct.push(each(engine));
            }
            let of = format!("processor time of a status of {containers} containers");
            table.require(format!("{of}, in times that of the calls alone"), ratios, "", PROCESSOR_GOAL);
            table.report(of, ours, "ms");
            table.report("the same of the calls alone", direct, "ms");
        }
    }

    /// The bot's processor time over so many requests, with what it does beside and after them.
    async fn processor_of_statuses(&self, size: usize, times: usize) -> f64 {
        self.scene.settle().await;
        let before = processor(self.scene.pid());
        let began = tokio::time::Instant::now();
        // A large status is five messages: as many tokens of all chats' pace.
        let pace = PACE * u32::try_from(1 + 4 * size).unwrap();
        for number in 0..times {
            tokio::time::sleep_until(began + pace * u32::try_from(number).unwrap()).await;
            self.scene.status(person(number), COMMANDS[size]).await;
        }
        self.scene.settle().await;
        processor(self.scene.pid()) - before
    }
}
