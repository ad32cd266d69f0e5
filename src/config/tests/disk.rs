//! What the disk has to say, pretended and real.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use expect_test::{Expect, expect};

use super::super::{OnDisk, check, read};
use super::{EXAMPLE, holding, plenty, told};

/// What a text is told on a disk, which holds all that the project `shop` does not name.
fn on(disk: impl Fn(&Path) -> OnDisk, text: &str, expected: Expect) {
    let others = |path: &Path| ["/srv/tools", "/workspace/tools", "/etc", "/usr"].iter().any(|other| path.starts_with(other));
    expected.assert_eq(&told(&check(text, &|path| if others(path) { plenty(path) } else { disk(path) })));
}

#[test]
fn directories_that_are_not_there() {
    on(
        holding(&[], &[]),
        EXAMPLE,
        expect![[r#"
            18:20 projects.shop.workspace: found “/workspace/shop”, which does not exist, expected an existing directory
            19:21 projects.shop.production: found “/srv/shop”, which does not exist, expected an existing directory
        "#]],
    );
    on(
        holding(&["/workspace"], &["/srv/shop"]),
        EXAMPLE,
        expect![[r#"
            18:20 projects.shop.workspace: found “/workspace/shop”, which does not exist, expected an existing directory
            19:21 projects.shop.production: found “/srv/shop”, which is not a directory, expected a directory
        "#]],
    );
    on(
        |_: &Path| OnDisk::Unclear("permission denied".to_owned()),
        EXAMPLE,
        expect![[r#"
            warning 18:20 projects.shop.workspace: found “/workspace/shop”, which cannot be examined (permission denied), expected a directory that this user may read
            warning 19:21 projects.shop.production: found “/srv/shop”, which cannot be examined (permission denied), expected a directory that this user may read
        "#]],
    );
}

#[test]
fn a_disabled_project_may_lack_what_it_needs() {
    let text = EXAMPLE.replace("\"enabled\": true", "\"enabled\": false");
    on(
        holding(&["/workspace/shop"], &[]),
        &text,
        expect![[r#"
            warning 3:22 default_project: found “shop”, which is disabled, expected an enabled project: commands without a name mean none now
            warning 19:21 projects.shop.production: found “/srv/shop”, which does not exist, expected an existing directory
            warning 20:30 projects.shop.compose.files[0]: found “docker-compose.yml”, which is not in “/workspace/shop”, expected a compose file that is there
        "#]],
    );
}

#[test]
fn a_compose_file_in_either_place_suffices() {
    for place in ["/workspace/shop/docker-compose.yml", "/srv/shop/docker-compose.yml"] {
        on(holding(&["/workspace/shop", "/srv/shop"], &[place]), EXAMPLE, expect![[""]]);
    }
    on(
        holding(&["/workspace/shop", "/srv/shop"], &[]),
        EXAMPLE,
        expect![[r#"
            20:30 projects.shop.compose.files[0]: found “docker-compose.yml”, which is not in “/workspace/shop” or “/srv/shop”, expected a compose file that is there
        "#]],
    );
    // The default file is looked for, too; a directory of that name is no file.
    let text = EXAMPLE.replace("\"files\": [\"docker-compose.yml\"], ", "");
    on(
        holding(&["/workspace/shop/docker-compose.yml", "/srv/shop"], &[]),
        &text,
        expect![[r#"
            20:18 projects.shop.compose.files: found “docker-compose.yml”, which is not in “/workspace/shop” or “/srv/shop”, expected a compose file that is there
        "#]],
    );
}

#[test]
fn symbolic_links_are_seen_through() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    fs::create_dir_all(root.join("srv/shop/src")).unwrap();
    fs::write(root.join("srv/shop/docker-compose.yml"), "services: {}\n").unwrap();
    symlink(root.join("srv/shop/src"), root.join("code")).unwrap();
    let file = root.join("projects.json");
    let checked = |workspace: &str| {
        let root = root.to_str().unwrap();
        // Of the example, the project that this is about.
        let (shop, _) = EXAMPLE.split_once(",\n    \"edge\"").unwrap();
        let text = format!("{shop} }} }}").replace("  \"registry_credentials\": \"/etc/dockmaster/registry.json\",", "");
        let text = text.replace("/workspace/shop", &format!("{root}/{workspace}")).replace("/srv/shop", &format!("{root}/srv/shop"));
        fs::write(&file, text).unwrap();
        told(&read(&file).unwrap()).replace(root, "")
    };
    expect![[r#"
        18:20 projects.shop.workspace: found “/code”, which lies inside the production directory, expected a directory outside production, and production outside it
    "#]].assert_eq(&checked("code"));
    // What does not exist yet is seen through as far as it does.
    expect![[r#"
        18:20 projects.shop.workspace: found “/code/new”, which does not exist, expected an existing directory
        18:20 projects.shop.workspace: found “/code/new”, which lies inside the production directory, expected a directory outside production, and production outside it
    "#]].assert_eq(&checked("code/new"));
    expect![[r#"
        18:20 projects.shop.workspace: found “/srv”, which holds the production directory, expected a directory outside production, and production outside it
    "#]].assert_eq(&checked("srv"));
    fs::create_dir(root.join("elsewhere")).unwrap();
    expect![[""]].assert_eq(&checked("elsewhere"));
}
