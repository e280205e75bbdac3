//! The playback service.

use std::path::PathBuf;

use serde::Deserialize;

use super::finding::{Check, Finding};
use crate::service::client::ServiceClient;

/// What `GET /health` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Health {
    /// The service's release.
    pub(super) version: String,
    /// Where it looks for shards and ledgers.
    pub(super) coverage_dir: PathBuf,
}

/// Asks the service; the error is a sentence.
pub(super) async fn look(service: &ServiceClient) -> Result<Health, String> {
    let answer = service.health().await?;
    serde_json::from_slice(&answer)
        .map_err(|_| format!("{} answers, but not as a playback service does", service.url()))
}

/// `service.reachable`.
pub(super) fn check(url: &str, health: &Result<Health, String>) -> Finding {
    let check = Check::ServiceReachable;
    match health {
        Ok(health) if health.version != env!("CARGO_PKG_VERSION") => check.failed(
            format!("{url} is playtrace {}, this is {}", health.version, env!("CARGO_PKG_VERSION")),
            "bring service and program to one release",
        ),
        Ok(health) => check.ok(format!("{url} answers: playtrace {}", health.version)),
        Err(why) => check.failed(
            why.clone(),
            "start it (`playtrace serve --host 127.0.0.1 --port 8070`), or name it where it is: --service-url or PROFILE_PLAYBACK_URL",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_release_is_told() {
        let health =
            |version: &str| Health { version: version.to_owned(), coverage_dir: PathBuf::from("/c") };
        assert_eq!(check("u", &Ok(health(env!("CARGO_PKG_VERSION")))).remedy, None);
        assert!(check("u", &Ok(health("0.0.1"))).reason.contains("0.0.1"));
        assert!(check("u", &Err("no".to_owned())).remedy.unwrap().contains("PROFILE_PLAYBACK_URL"));
    }
}
