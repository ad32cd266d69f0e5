//! Reads files that others can write or replace: compose files, `.env`, `projects.json`, credentials.
//!
//! Opening a named pipe waits for its other end, and `/dev/zero` never ends. So a file is opened without blocking, must be
//! regular, and is read up to a limit. A file system may still never answer (a network share whose server is gone): callers on the
//! runtime use [`off_runtime`], which does not wait longer than [`TIME_LIMIT`].

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The largest file of configuration, in bytes.
pub const CONFIGURATION_MAX: u64 = 16 << 20;
/// How long a caller waits for a file system.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);
/// How many threads may wait for file systems at once. A thread that hangs keeps its place, so that a share that is away cannot
/// use up the threads of the runtime.
const THREADS_MAX: usize = 64;

static THREADS: std::sync::LazyLock<Arc<Semaphore>> = std::sync::LazyLock::new(|| Arc::new(Semaphore::new(THREADS_MAX)));

/// Why a file was not read. Reads as the predicate of a sentence whose subject is the file's name.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is something else: what.
    #[error("is not a regular file (it is {0})")]
    NotRegular(&'static str),
    /// It is larger than the limit, in bytes.
    #[error("is larger than {}", size(*.0))]
    TooLarge(u64),
    /// It is not text.
    #[error("is not UTF-8 text")]
    NotText,
    /// The file system did not answer.
    #[error("could not be read within {} s", TIME_LIMIT.as_secs())]
    TimedOut,
    /// The system refused.
    #[error("cannot be read ({})", plain(.0))]
    System(#[from] io::Error),
}

impl ReadError {
    /// The reason alone, for after a colon or in parentheses.
    pub fn reason(&self) -> String {
        match self {
            Self::NotRegular(kind) => format!("it is {kind}, not a regular file"),
            Self::TooLarge(_) | Self::NotText => format!("it {self}"),
            Self::TimedOut => format!("the file system did not answer within {} s", TIME_LIMIT.as_secs()),
            Self::System(error) => plain(error),
        }
    }

    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::System(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::System(error) => error,
            ReadError::NotRegular("a directory") => Self::new(io::ErrorKind::IsADirectory, error.reason()),
            ReadError::TimedOut => Self::new(io::ErrorKind::TimedOut, error.reason()),
            other => Self::new(io::ErrorKind::InvalidInput, other.reason()),
        }
    }
}

/// An error of the system without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MB", bytes >> 20) } else { format!("{} KB", bytes.div_ceil(1 << 10)) }
}

/// Opens a regular file. Does not wait for the other end of a pipe, nor for a terminal.
///
/// # Errors
/// It is no regular file, or cannot be opened.
pub fn open(path: &Path) -> Result<File, ReadError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(opened) => opened,
        // The two kinds that cannot be opened at all.
        Err(Errno::NXIO | Errno::NODEV) => return Err(refused_kind(path)),
        Err(error) => return Err(ReadError::System(error.into())),
    };
    let seen = rustix::fs::fstat(&opened).map_err(|error| ReadError::System(error.into()))?;
    match kind(FileType::from_raw_mode(seen.st_mode)) {
        Some(other) => Err(ReadError::NotRegular(other)),
        None => Ok(File::from(opened)),
    }
}

/// Refuses anything but a regular file at most `most` bytes long, without reading it: for files that another program will read.
///
/// # Errors
/// As of [`open`]; or it is larger.
pub fn check(path: &Path, most: u64) -> Result<(), ReadError> {
    match open(path)?.metadata()?.len() {
        size if size > most => Err(ReadError::TooLarge(most)),
        _ => Ok(()),
    }
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// As of [`open`]; or it is larger.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    // The length may change while it is read, so that it is not what counts.
    open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(ReadError::TooLarge(most)) } else { Ok(bytes) }
}

/// Reads a regular file of at most `most` bytes as text.
///
/// # Errors
/// As of [`read`]; or it is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<String, ReadError> {
    String::from_utf8(read(path, most)?).map_err(|_| ReadError::NotText)
}

fn refused_kind(path: &Path) -> ReadError {
    match rustix::fs::stat(path).map(|seen| kind(FileType::from_raw_mode(seen.st_mode))) {
        Ok(Some(other)) => ReadError::NotRegular(other),
        Ok(None) => ReadError::System(Errno::NXIO.into()),
        Err(error) => ReadError::System(error.into()),
    }
}

/// What something is that is no regular file.
fn kind(of: FileType) -> Option<&'static str> {
    Some(match of {
        FileType::RegularFile => return None,
        FileType::Directory => "a directory",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "something else",
    })
}

/// Does work on files on a thread that may block, and waits for it no longer than [`TIME_LIMIT`].
///
/// # Errors
/// [`ReadError::TimedOut`]: the work goes on, and nobody waits for it.
pub async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ReadError> {
    within(TIME_LIMIT, work).await
}

async fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ReadError> {
    let waited = timeout(limit, async {
        // It is never closed.
        let Ok(place) = THREADS.clone().acquire_owned().await else { return Err(ReadError::TimedOut) };
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        done.await.map_err(|died| ReadError::System(io::Error::other(died)))
    });
    waited.await.unwrap_or(Err(ReadError::TimedOut))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn why(path: &Path) -> String {
        read_text(path, 1_024).map_or_else(|error| error.to_string(), |text| format!("{} bytes", text.len()))
    }

    #[test]
    fn only_regular_bounded_files_are_read() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        std::fs::write(at("fits"), vec![b'x'; 1_024]).unwrap();
        std::fs::write(at("large"), vec![b'x'; 1_025]).unwrap();
        std::fs::write(at("binary"), b"\xff").unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        symlink(at("fits"), at("link")).unwrap();
        symlink(at("pipe"), at("link to a pipe")).unwrap();
        symlink("/dev/zero", at("link to a device")).unwrap();
        let told: Vec<String> = ["fits", "link", "large", "binary", "pipe", "link to a pipe", "link to a device", "socket", ".", "absent"]
            .map(|n| why(&at(n)))
            .into();
        assert_eq!(
            told,
            [
                "1024 bytes",
                "1024 bytes",
                "is larger than 1 KB",
                "is not UTF-8 text",
                "is not a regular file (it is a named pipe)",
                "is not a regular file (it is a named pipe)",
                "is not a regular file (it is a device)",
                "is not a regular file (it is a socket)",
                "is not a regular file (it is a directory)",
                "cannot be read (No such file or directory)",
            ]
        );
        assert!(check(&at("fits"), 1_024).is_ok() && matches!(check(&at("large"), 1_024), Err(ReadError::TooLarge(_))));
        assert!(read(&at("absent"), 1).is_err_and(|error| error.is_missing()));
    }

    #[tokio::test]
    async fn a_file_system_that_hangs_is_not_waited_for() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let told = within(Duration::from_millis(20), move || held.recv().is_ok()).await;
        assert!(matches!(told, Err(ReadError::TimedOut)));
        drop(release);
    }
}
