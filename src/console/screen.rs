//! An operation as it advances: drawn over and over on a terminal, a line for each thing that happens in a pipe.

use std::io::{self, Write};

use super::{Size, harmless};
use crate::domain::Millis;
use crate::domain::event::Progress;
use crate::domain::text::duration;
use crate::domain::view::{OperationView, ServiceView, StepView};
use crate::domain::words;

/// What is shown of one operation.
#[derive(Debug)]
pub(super) struct Screen {
    /// The terminal's size; none in a pipe.
    size: Option<Size>,
    /// How many lines were drawn last.
    drawn: usize,
    steps: Vec<StepView>,
    services: Vec<ServiceView>,
}

impl Screen {
    pub(super) fn new(size: Option<Size>) -> Self {
        Self { size, drawn: 0, steps: Vec::new(), services: Vec::new() }
    }

    /// Whether time alone is worth drawing again for.
    pub(super) fn is_live(&self) -> bool {
        self.size.is_some()
    }

    /// Something else was written below: what was drawn stays above it.
    pub(super) fn leave(&mut self) {
        self.drawn = 0;
    }

    /// Shows how it stands.
    pub(super) fn show(&mut self, view: &OperationView, now: Millis, out: &mut dyn Write) -> io::Result<()> {
        match self.size {
            Some(size) => self.draw(view, now, size, out),
            None => self.tell(view, out),
        }
    }

    fn draw(&mut self, view: &OperationView, now: Millis, size: Size, out: &mut dyn Write) -> io::Result<()> {
        let text = words::progress(view, now).to_plain();
        let lines: Vec<&str> = text.lines().collect();
        // What has left the screen at its top cannot be drawn over.
        let shown = &lines[lines.len().saturating_sub(size.rows.saturating_sub(1).max(1))..];
        if self.drawn > 0 {
            write!(out, "\x1b[{}A\x1b[0J", self.drawn)?;
        }
        self.drawn = 0;
        for line in shown {
            writeln!(out, "{}", fitting(line, size.columns))?;
            self.drawn += 1;
        }
        out.flush()
    }

    fn tell(&mut self, view: &OperationView, out: &mut dyn Write) -> io::Result<()> {
        for (at, step) in view.steps.iter().enumerate() {
            let before = self.steps.get(at).map_or(Progress::Waiting, |s| s.progress);
            if before == step.progress {
                continue;
            }
            let took = step.started.zip(step.ended).map_or(String::new(), |(from, to)| format!(" · {}", duration(to.saturating_sub(from))));
            let note = step.note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
            match step.progress {
                Progress::Waiting => {}
                Progress::Working => writeln!(out, "{}", harmless(&format!("… {}", step.label)))?,
                Progress::Done => writeln!(out, "{}", harmless(&format!("✅ {}{note}{took}", step.label)))?,
                Progress::Failed => writeln!(out, "{}", harmless(&format!("❌ {}{took}", step.label)))?,
            }
        }
        for service in &view.services {
            let known = self.services.iter().any(|s| s == service);
            if !known && matches!(service.progress, Progress::Done | Progress::Failed) {
                let light = if service.progress == Progress::Done { "🟢" } else { "🔴" };
                writeln!(out, "{}", harmless(&format!("{light} {}: {}", service.service, service.seen)))?;
            }
        }
        (self.steps, self.services) = (view.steps.clone(), view.services.clone());
        out.flush()
    }
}

/// As much of a line as fits: one that wraps would be counted wrongly when it is drawn over.
fn fitting(line: &str, columns: usize) -> String {
    let mut left = columns.saturating_sub(1);
    // What is not of the Latin scripts may take two columns.
    let wide = |c: char| if c < '\u{1100}' { 1 } else { 2 };
    line.chars().take_while(|c| left.checked_sub(wide(*c)).map(|rest| left = rest).is_some()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn view() -> OperationView {
        let step = |label: &str, progress| StepView { label: label.into(), progress, started: Some(0), ended: None, note: None };
        OperationView {
            id: 7,
            kind: crate::domain::request::Kind::Restart,
            target: "shop".into(),
            actor: "console".into(),
            started: 0,
            steps: vec![step("Restart web", Progress::Working), step("Verify web", Progress::Waiting)],
            services: Vec::new(),
            tail: [String::from("a line")].into(),
            unrecorded: None,
            ended: None,
        }
    }

    #[test]
    fn in_a_pipe_each_thing_is_told_once() {
        let (mut screen, mut out, mut view) = (Screen::new(None), Vec::new(), view());
        screen.show(&view, 0, &mut out).unwrap();
        screen.show(&view, 1_000, &mut out).unwrap();
        view.services.push(ServiceView { service: "web".into(), progress: Progress::Working, seen: "restarting".into() });
        screen.show(&view, 1_000, &mut out).unwrap();
        view.services[0] = ServiceView { service: "web".into(), progress: Progress::Done, seen: "healthy after 3 s".into() };
        view.steps[0] = StepView { progress: Progress::Done, ended: Some(3_000), note: Some("1 service".into()), ..view.steps[0].clone() };
        screen.show(&view, 3_000, &mut out).unwrap();
        screen.show(&view, 3_000, &mut out).unwrap();
        expect![[r#"
            … Restart web
            ✅ Restart web (1 service) · 3 s
            🟢 web: healthy after 3 s
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
    }

    #[test]
    fn on_a_terminal_it_is_drawn_over() {
        let (mut screen, mut out, view) = (Screen::new(Some(Size { columns: 12, rows: 3 })), Vec::new(), view());
        screen.show(&view, 2_000, &mut out).unwrap();
        let first = String::from_utf8(out.clone()).unwrap();
        assert!(!first.contains('\x1b') && first.lines().count() == 2 && first.lines().all(|l| l.chars().count() < 12), "{first}");
        screen.show(&view, 3_000, &mut out).unwrap();
        let second = String::from_utf8(out).unwrap();
        assert!(second[first.len()..].starts_with(&format!("\x1b[{}A\x1b[0J", first.lines().count())), "{second:?}");
    }
}
