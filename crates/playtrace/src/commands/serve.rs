//! `playtrace serve`: the player behind HTTP.

use std::net::IpAddr;
use std::path::PathBuf;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::messages::Failure;
use crate::service::console::Console;
use crate::service::server;
use crate::service::settings::{self, Settings};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The address to listen on. Whoever reaches it can replay profiles against any app as the configured user.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 8070)]
    port: u16,
    /// How many runs go on at once; further ones wait.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// How the app wants to be replayed: a preset's file, or the name of a built-in one.
    #[arg(long, value_name = "FILE", default_value = playtrace_replay::DEFAULT_PRESET)]
    preset: String,
    /// The folder that contains the profiles [default: `PROFILE_PLAYBACK_ROOT`].
    #[arg(long, value_name = "DIR")]
    profiles_root: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let console = Console::new(false);
    let mut known = Settings::from_environment()?;
    known.preset = settings::preset(&args.preset)?;
    if let Some(root) = args.profiles_root {
        known.profiles_root = root;
    }
    super::run_async(async move {
        let address = (args.host, args.port);
        let failed = |error: std::io::Error| {
            let why = format!("can't listen on {}:{}: {error}", args.host, args.port);
            Failure::new(Exit::Io, "PT-SERVE-011", why)
                .help("is another service running there? --port takes another")
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let mut stop = signal(SignalKind::terminate()).map_err(failed)?;
        console.log(&format!(
            "profile-playback service on http://{bound} (profiles: {}, coverage: {})",
            known.profiles_root.display(),
            known.coverage_dir.display()
        ));
        let told = console.clone();
        let shutdown = async move {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = stop.recv() => {}
            }
            told.log("stopping after the runs that are under way; once more stops at once");
            // From now on a signal must end the process, whatever a run is waiting for.
            tokio::spawn(async move {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = stop.recv() => {}
                }
                std::process::exit(i32::from(Exit::Interrupted as u8));
            });
        };
        server::serve(listener, known, usize::from(args.jobs), shutdown).await.map_err(failed)?;
        Ok(Exit::Success)
    })?
}
