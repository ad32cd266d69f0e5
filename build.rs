//! Has the relocations of the program that is handed out packed, which makes it need half a megabyte less memory: each start reads
//! them all.

use std::process::Command;

/// The first C library that loads such a program.
const SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|is| is == value);
    let handed_out = is("OPT_LEVEL", "z");
    let known = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") && is("CARGO_CFG_TARGET_ARCH", "x86_64");
    if handed_out && known && c_library().is_some_and(|version| version >= SINCE) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The C library of this machine, which a program that is built here needs at least.
fn c_library() -> Option<(u32, u32)> {
    #[expect(clippy::disallowed_methods, reason = "nothing of ours runs yet that could do it")]
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?.stdout;
    let (major, minor) = str::from_utf8(&told).ok()?.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
