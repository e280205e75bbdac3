//! `wctl check-profile-coverage`: are inventory, configuration, workflows and profiles in step with the tree?

use crate::check::{Asked, Format, Place, examine};
use crate::documents::say;
use crate::exit::Exit;
use crate::messages::Failure;

/// What is not said here stands in `[tool.playtrace]` of pyproject.toml, else in the environment, else in its usual place.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    asked: Asked,
    /// How to say it [default: github where `GITHUB_ACTIONS` is true, else text]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Say nothing where all is in step
    #[arg(short, long)]
    quiet: bool,
}

/// Runs it.
pub fn run(args: Args) -> Result<Exit, Failure> {
    let on_github = std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true");
    let format = match args.format {
        _ if args.json => Format::Json,
        Some(format) => format,
        None if on_github => Format::Github,
        None => Format::Text,
    };
    let place = Place::new(args.asked)?;
    let report = examine(&place)?;
    if args.quiet && report.in_step && report.fixed.is_empty() {
        return Ok(Exit::Success);
    }
    match format {
        Format::Json => say(&playtrace_report::json::to_json(&report)?)?,
        Format::Text => say(&report.to_ansi())?,
        Format::Github => {
            say(&report.to_annotations())?;
            say(&report.to_ansi())?;
        }
    }
    Ok(report.exit())
}
