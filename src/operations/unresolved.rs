//! Why Compose cannot resolve a project's files, told without any value of a variable.
//!
//! Compose is asked again: without variables, and with each file of variables alone. What it says of the files without
//! variables can be quoted; of everything else only the file, the line and the kind of mistake are told.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::tools::Tools;
use crate::domain::env_file;
use crate::domain::failure::Failure;
use crate::domain::text::listing;
use crate::domain::untrusted::UntrustedText;
use crate::engine::compose::{self, Files, variables};
use crate::process::{self, Finished};
use crate::untrusted::{self, CONFIGURATION_MAX};

/// How long Compose may take for one of the questions.
const LIMIT: Duration = Duration::from_secs(30);
/// How many files of variables are looked at.
const FILES_MAX: usize = 20;
/// How many names are told.
const NAMES_SHOWN: usize = 5;

/// What is said where nothing more is known.
const UNKNOWN: &str = "Compose cannot read its files.";
const CORRECT_COMPOSE: &str = "Mend the compose file (docker compose config shows the same) and ask again.";
const CORRECT_LINE: &str = "Correct that line and ask again.";

/// Why the files cannot be resolved; paths are shown as they will be in `directory`. `said` is what Compose wrote, which may
/// hold values.
pub(super) async fn why(tools: &Tools, what: &str, files: &Files<'_>, directory: &Path, said: &[String]) -> Failure {
    let failure = |why: String, next: &str| Failure::new(what, why, next);
    let paths: Vec<PathBuf> = files.files.iter().map(|file| files.root.join(file)).collect();
    let texts: Vec<String> = read(paths).await.into_iter().map(|(_, text)| String::from_utf8_lossy(&text).into_owned()).collect();
    let Some(bare) = ask(tools, what, files.bare(), None).await else { return failure(UNKNOWN.to_owned(), CORRECT_COMPOSE) };
    if let Some(why) = compose::unprintable(said).or_else(|| compose::unprintable(&bare.1)) {
        return failure(why.to_owned(), "Change that in the compose file and ask again.");
    }
    if !bare.0.success() {
        return of_compose(what, &bare.1, &texts);
    }
    if let Some(plain) = variables::without_variables(&bare.0.stdout)
        && let Some((checked, told)) = ask(tools, what, files.check_with(&[]), Some(plain)).await
        && !checked.success()
    {
        return of_compose(what, &told, &texts);
    }
    let place = |path: &Path| match path.strip_prefix(files.directory) {
        Ok(below) => UntrustedText::path(&directory.join(below)),
        Err(_) => UntrustedText::path(path),
    };
    of_variables(tools, what, files, &place, &bare.0.stdout, &texts, said).await
}

/// Something is wrong with the compose files themselves, whatever the variables are.
fn of_compose(what: &str, told: &[String], texts: &[String]) -> Failure {
    let shown: Vec<String> = compose::lines(told).iter().map(|line| variables::without_values(line, texts)).collect();
    let why = match compose::reason(&shown) {
        Some(reason) => format!("Compose cannot read its files: {}.", UntrustedText::from(reason)),
        None => UNKNOWN.to_owned(),
    };
    let failure = Failure::new(what, why, CORRECT_COMPOSE);
    if shown.len() > 1 { failure.with_lines(shown) } else { failure }
}

async fn of_variables(
    tools: &Tools,
    what: &str,
    files: &Files<'_>,
    place: &(dyn Fn(&Path) -> UntrustedText + Sync),
    bare: &[u8],
    texts: &[String],
    said: &[String],
) -> Failure {
    let own: BTreeSet<PathBuf> = match files.environment {
        Some(environment) => [environment.to_owned()].into(),
        None => [files.directory.join(".env"), files.root.join(".env")].into_iter().filter(|path| path.is_file()).collect(),
    };
    // Of one whose name is made of variables nobody knows which it is.
    let named = compose::parse_env_files(bare).into_iter().filter(|path| !path.to_string_lossy().contains('$'));
    let absolute = |path: &PathBuf| files.directory.join(path);
    let all: Vec<PathBuf> = own.iter().cloned().chain(named.map(|path| absolute(&path))).take(FILES_MAX).collect();
    let read = read(all.clone()).await;
    let mut known: BTreeSet<String> = BTreeSet::new();
    for path in &all {
        let shown = place(path);
        let Some((_, text)) = read.iter().find(|(read, _)| read == path) else {
            let why = format!("The file of variables {shown} is not there, or cannot be read.");
            return Failure::new(what, why, "Put it there, or correct \"env_file\", and ask again.");
        };
        // Those of `.env` hold in every other file.
        let with: Vec<&Path> = own.iter().map(PathBuf::as_path).chain((!own.contains(path)).then_some(path.as_path())).collect();
        let asked = ask(tools, what, files.check_with(&with), Some(variables::PLAIN.as_bytes().to_vec())).await;
        if asked.is_some_and(|(checked, _)| !checked.success()) {
            let is_set = |name: &str| known.contains(name) || process::passes(name);
            let (why, next) = match env_file::mistake(text, &is_set) {
                Some(mistake) => (format!("Compose cannot read {shown}: line {} {}.", mistake.line, mistake.kind), CORRECT_LINE),
                None => {
                    (format!("Compose cannot read {shown}: one of its lines is not NAME=value as Compose understands it."), CORRECT_LINE)
                }
            };
            return Failure::new(what, why, next);
        }
        known.extend(env_file::set(text));
    }
    // Only those of `.env` are put into the compose files.
    let put_in: BTreeSet<String> = read.iter().filter(|(path, _)| own.contains(path)).flat_map(|(_, text)| env_file::set(text)).collect();
    let missing: Vec<(String, String)> =
        variables::required(texts).into_iter().filter(|(name, _)| !put_in.contains(name) && !process::passes(name)).collect();
    if !missing.is_empty() {
        // What the compose file itself says of it.
        let name = |(name, why): &(String, String)| match why.is_empty() {
            true => UntrustedText::from(name).to_string(),
            false => format!("{} ({})", UntrustedText::from(name), UntrustedText::from(why)),
        };
        let why = format!("The compose file needs {}, which nothing sets.", listing(missing.iter().map(name), NAMES_SHOWN));
        return Failure::new(what, why, "Set it in production's .env and ask again.");
    }
    let places: BTreeSet<String> = said.iter().flat_map(|line| variables::places(line, texts)).collect();
    let place = match places.is_empty() {
        true => String::new(),
        false => format!(", for {}", listing(places.iter().map(UntrustedText::from), NAMES_SHOWN)),
    };
    let why = format!("The compose file cannot be used with the values that its variables have{place}.");
    Failure::new(what, why, "Correct the value in production's .env, or how it is used (docker compose config shows it), and ask again.")
}

/// What Compose answers, and what it wrote to standard error. None where it could not be asked.
async fn ask(tools: &Tools, what: &str, args: Vec<std::ffi::OsString>, stdin: Option<Vec<u8>>) -> Option<(Finished, Vec<String>)> {
    let mut told = Vec::new();
    let mut note = |line: &str| told.push(line.to_owned());
    let invocation = tools.compose(what, args, LIMIT, "").ok()?;
    let invocation = match stdin {
        Some(stdin) => invocation.stdin(stdin),
        None => invocation,
    };
    let finished = process::run(&invocation, &mut note, &tools.stopping).await.ok()?;
    Some((finished, told))
}

/// What files hold, as far as they are files and can be read.
async fn read(paths: Vec<PathBuf>) -> Vec<(PathBuf, Vec<u8>)> {
    let one = |path: PathBuf| untrusted::read(&path, CONFIGURATION_MAX).ok().map(|bytes| (path, bytes));
    untrusted::off_runtime(move || paths.into_iter().filter_map(one).collect()).await.unwrap_or_default()
}
