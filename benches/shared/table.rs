//! The figures, the goals, and whether they are met.

use std::fmt;

/// One figure of several rounds.
pub(crate) struct Row {
    what: String,
    /// A figure of each round.
    figures: Vec<f64>,
    unit: &'static str,
    /// The most that the median may be.
    goal: Option<f64>,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// A figure that is only reported.
    pub(crate) fn report(&mut self, what: impl Into<String>, figures: Vec<f64>, unit: &'static str) {
        self.0.push(Row { what: what.into(), figures, unit, goal: None });
    }

    /// A figure whose median must not be above the goal.
    pub(crate) fn require(&mut self, what: impl Into<String>, figures: Vec<f64>, unit: &'static str, goal: f64) {
        self.0.push(Row { what: what.into(), figures, unit, goal: Some(goal) });
    }

    /// Whether there are figures and every goal is met.
    pub(crate) fn is_met(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(Row::is_met)
    }
}

impl Row {
    fn median(&self) -> f64 {
        let mut sorted = self.figures.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len().is_multiple_of(2) { (sorted[middle - 1] + sorted[middle]) / 2.0 } else { sorted[middle] }
    }

    fn is_met(&self) -> bool {
        self.goal.is_none_or(|goal| self.median() <= goal)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| figure | median | least to most | rounds | goal |\n| --- | --- | --- | --- | --- |")?;
        for row in &self.0 {
            let (least, most) = row.figures.iter().fold((f64::MAX, f64::MIN), |(least, most), x| (least.min(*x), most.max(*x)));
            let goal = row.goal.map_or_else(String::new, |goal| {
                format!("at most {goal} {}: {}", row.unit, if row.is_met() { "met" } else { "MISSED" }).replace(" :", ":")
            });
            let (what, unit, rounds) = (&row.what, row.unit, row.figures.len());
            writeln!(f, "| {what} | {:.2} {unit} | {least:.2} to {most:.2} | {rounds} | {goal} |", row.median())?;
        }
        Ok(())
    }
}
