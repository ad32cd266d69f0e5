//! A dockmaster in a container names directories to Compose, and the engine mounts those of the host: they must be the
//! same ones.

use std::path::Path;

use super::super::tools::Tools;
use crate::domain::failure::Failure;
use crate::domain::project::ProjectName;
use crate::domain::untrusted::UntrustedText;
use crate::engine::own::{self, Mount};

/// Refuses directories that are not at the same path on the host, where dockmaster runs in a container of this engine.
/// Any other container is not the engine's to judge: one that holds the engine itself shares its directories with it.
pub(super) async fn same_on_host(
    tools: &Tools,
    project: &ProjectName,
    workspace: Option<&Path>,
    production: &Path,
    what: &str,
) -> Result<(), Failure> {
    let Some(own) = &tools.own else { return Ok(()) };
    let Some(mounts) = tools.docker.mounts(&own.container).await.map_err(|e| e.failure(what))? else { return Ok(()) };
    if let Some(workspace) = workspace {
        same(&mounts, project, "workspace", workspace, what)?;
    }
    same(&mounts, project, "production", production, what)
}

fn same(mounts: &[Mount], project: &ProjectName, which: &str, path: &Path, what: &str) -> Result<(), Failure> {
    let shown = UntrustedText::path(&path);
    match own::on_host(mounts, path) {
        Some(host) if host == path => Ok(()),
        Some(host) => {
            let host = UntrustedText::path(&host);
            Err(Failure::new(
                what,
                format!(
                    "dockmaster runs in a container, where its {which} {shown} is {host} of the host: the engine knows the host's paths only."
                ),
                format!("Mount it at its path on the host ({host}:{host}), and name that as \"{which}\" of {project} in projects.json."),
            ))
        }
        None => Err(Failure::new(
            what,
            format!("dockmaster runs in a container, and its {which} {shown} is not mounted from the host."),
            format!("Mount it there from the same path ({shown}:{shown}) and start dockmaster again."),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(path: &str, told: &Expect) {
        let mount = |source: &str, destination: &str| Mount { source: source.into(), destination: destination.into() };
        let mounts = [mount("/srv", "/srv"), mount("/home/ann/shop", "/srv/shop")];
        let project = ProjectName::new("shop").unwrap();
        let refused = same(&mounts, &project, "production", Path::new(path), "shop cannot be deployed.");
        told.assert_eq(&refused.map_or_else(|f| format!("{}\n{}\n{}", f.what, f.why, f.next), |()| "as on the host".to_owned()));
    }

    #[test]
    fn a_directory_that_is_another_one_on_the_host_is_refused() {
        check("/srv/other", &expect!["as on the host"]);
        check(
            "/srv/shop",
            &expect![[r#"
                shop cannot be deployed.
                dockmaster runs in a container, where its production `/srv/shop` is `/home/ann/shop` of the host: the engine knows the host's paths only.
                Mount it at its path on the host (`/home/ann/shop`:`/home/ann/shop`), and name that as "production" of shop in projects.json."#]],
        );
        check(
            "/opt/shop",
            &expect![[r#"
                shop cannot be deployed.
                dockmaster runs in a container, and its production `/opt/shop` is not mounted from the host.
                Mount it there from the same path (`/opt/shop`:`/opt/shop`) and start dockmaster again."#]],
        );
    }
}
