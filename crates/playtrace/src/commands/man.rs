//! `playtrace man`: manual pages.

use std::path::PathBuf;

use clap::Command;
use clap_mangen::Man;

use crate::cli::{Name, command_of};
use crate::documents::{say, unwritable, write_document};
use crate::exit::Exit;
use crate::messages::Failure;

/// Write the manual pages of `playtrace` and `wctl`: one of each program, one of each command.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where they go; a directory of `MANPATH` has them in `man1`.
    #[arg(long, value_name = "DIR", default_value = "man/man1")]
    output_dir: PathBuf,
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "every command is called like this")]
pub fn run(args: Args) -> Result<Exit, Failure> {
    let mut count = 0;
    for name in [Name::Playtrace, Name::Wctl] {
        let mut command = command_of(name).disable_help_subcommand(true);
        command.build();
        for (file, page) in pages(&command, name.as_str())? {
            write_document(&args.output_dir.join(file), &page)?;
            count += 1;
        }
    }
    say(&format!("{count} pages in {}\n", args.output_dir.display()))?;
    Ok(Exit::Success)
}

/// A command's page and those of its own commands: file names and contents.
fn pages(command: &Command, name: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut page = Vec::new();
    Man::new(command.clone())
        .title(name)
        .source(concat!("playtrace ", env!("CARGO_PKG_VERSION")))
        .render(&mut page)
        .map_err(|error| unwritable(&error))?;
    let mut pages = vec![(format!("{name}.1"), String::from_utf8_lossy(&page).into_owned())];
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages.extend(self::pages(below, &format!("{name}-{}", below.get_name()))?);
    }
    Ok(pages)
}
