//! The command line's words (DESIGN §4): what may be asked, and the help that says so. What the commands do is elsewhere.
//!
//! Exit status: 0 done, 1 failed, 2 wrong usage or configuration. clap ends the process with 2 for wrong usage and 0 for
//! `--help` by itself.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args, Parser, Subcommand};
use leveret_engine::account::Role;

pub use super::node_args::NodeCommand;
use crate::log::LogFormat;

/// Exit status of a command that failed.
pub const EXIT_FAILED: u8 = 1;
/// Exit status of wrong usage or a wrong configuration.
pub const EXIT_USAGE: u8 = 2;

/// One lightweight messaging hub for mixed fleets of devices.
#[derive(Debug, Parser)]
#[command(
    name = "leveret",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit status: 0 done, 1 failed, 2 wrong usage or configuration.",
    after_long_help = "\
Exit status: 0 done, 1 failed, 2 wrong usage or configuration.

A first hub, with its data in ./leveret-data:
  leveret serve
  leveret account add dev7 --generate
  leveret account add panel --password-stdin --role operator"
)]
pub struct Cli {
    /// The configuration file; without one, every key has its default
    #[arg(long, value_name = "FILE", env = "LEVERET_CONFIG", global = true)]
    pub config: Option<PathBuf>,

    /// Print data as JSON
    #[arg(long, global = true)]
    pub json: bool,

    #[command(flatten)]
    #[allow(
        missing_docs,
        reason = "a comment here would replace the help of the whole command"
    )]
    pub log: LogArgs,

    #[command(subcommand)]
    #[allow(
        missing_docs,
        reason = "a comment here would replace the help of the whole command"
    )]
    pub command: Command,
}

/// How to log.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// What a log line looks like
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        global = true
    )]
    pub log_format: LogFormat,

    /// error, warn, info, debug, trace or a filter such as info,leveret_hub=debug; default RUST_LOG, then info
    #[arg(long, value_name = "LEVEL", global = true)]
    pub log_level: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the hub
    ///
    /// Logs one line when each listener is ready. SIGTERM and SIGINT drain and end it; SIGHUP reloads certificates, limits,
    /// contacts, components, roster groups and all rules.
    #[command(after_long_help = "Example:\n  leveret --config /etc/leveret.toml serve")]
    Serve,

    /// Add, list, change and remove accounts
    ///
    /// Works while the hub runs and while it does not. NAME is a name such as dev7, or a bare address such as dev7@example.org.
    #[command(subcommand, arg_required_else_help = true)]
    Account(AccountCommand),

    /// Look at and change the tree of nodes
    #[command(subcommand, arg_required_else_help = true)]
    Node(NodeCommand),

    /// See who is here, and end sessions
    #[command(subcommand, arg_required_else_help = true)]
    Session(SessionCommand),

    /// Check the configuration, or print what is in force
    #[command(subcommand, arg_required_else_help = true)]
    Config(ConfigCommand),

    /// Print health, version, counts, listeners and storage
    #[command(after_long_help = "Example:\n  leveret --json status --deep")]
    Status {
        /// Check the whole database too; takes a while
        #[arg(long)]
        deep: bool,
    },
}

/// `leveret account`
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Add an account
    #[command(
        after_long_help = "Examples:\n  leveret account add dev7 --generate\n  echo \"$SECRET\" | leveret account add panel --password-stdin --role operator"
    )]
    Add {
        /// Its name, or its bare address
        name: String,

        #[command(flatten)]
        #[allow(missing_docs, reason = "a comment here would become help")]
        password: PasswordArgs,

        /// What it is for: device, operator, service or admin
        #[arg(long, default_value = Role::Device.name(), value_parser = role_parser())]
        role: Role,
    },

    /// List all accounts, with role and last activity
    #[command(after_long_help = "Example:\n  leveret --json account list")]
    List,

    /// Remove an account, with its roster, subscriptions and waiting messages
    #[command(after_long_help = "Example:\n  leveret account remove dev7")]
    Remove {
        /// Its name, or its bare address
        name: String,
    },

    /// Give an account another password; its sessions go on
    #[command(after_long_help = "Example:\n  leveret account passwd dev7 --generate")]
    Passwd {
        /// Its name, or its bare address
        name: String,

        #[command(flatten)]
        #[allow(missing_docs, reason = "a comment here would become help")]
        password: PasswordArgs,
    },

    /// Add many accounts from a CSV file
    ///
    /// Each line is name,password,role; the role may be left out and is then device. Keys are derived from the passwords on all
    /// cores; progress goes to standard error.
    #[command(
        after_long_help = "Example:\n  leveret account import fleet.csv\nwith lines such as\n  dev7,correct horse,device"
    )]
    Import {
        /// The file; - is standard input
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
    },

    /// Keep an account but let nobody sign in; ends its sessions
    #[command(after_long_help = "Example:\n  leveret account disable dev7")]
    Disable {
        /// Its name, or its bare address
        name: String,
    },

    /// Let a disabled account sign in again
    #[command(after_long_help = "Example:\n  leveret account enable dev7")]
    Enable {
        /// Its name, or its bare address
        name: String,
    },
}

/// Where a password comes from: exactly one of the three.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("password_source").required(true).multiple(false).args(["password", "password_stdin", "generate"])))]
pub struct PasswordArgs {
    /// The password; others on this machine may see it while the command runs
    #[arg(long, value_name = "P")]
    password: Option<String>,

    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,

    /// Make a password of 128 random bits and print it
    #[arg(long)]
    generate: bool,
}

/// Where a password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// It was given.
    Given(String),
    /// The first line of standard input.
    Stdin,
    /// The hub makes one, and it is printed.
    Generate,
}

impl PasswordArgs {
    /// Which of the three was asked for.
    pub fn into_source(self) -> PasswordSource {
        match (self.password, self.password_stdin) {
            (Some(password), _) => PasswordSource::Given(password),
            (None, true) => PasswordSource::Stdin,
            (None, false) => PasswordSource::Generate,
        }
    }
}

/// `leveret session`
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List sessions, with address, transport and since when
    #[command(after_long_help = "Example:\n  leveret session list")]
    List,

    /// End a session, all of an account, or a component's
    #[command(
        after_long_help = "Examples:\n  leveret session kick dev7\n  leveret session kick dev7@example.org/console\n  leveret session kick @sensors.example.org"
    )]
    Kick {
        /// A full address for one session; a name or a bare address for all of an account; `@` and the domain for a component
        #[arg(value_name = "JID")]
        jid: String,
    },
}

/// `leveret config`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration; exit status 2 and the fault's line if it is wrong
    #[command(after_long_help = "Example:\n  leveret --config leveret.toml config check")]
    Check,

    /// Print the configuration in force, defaults filled in, as TOML
    #[command(after_long_help = "Example:\n  leveret config show > leveret.toml")]
    Show,
}

/// The words of the roles, so that help and complaints list them.
fn role_parser() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::name))
        .try_map(|name| Role::by_name(&name).ok_or("there is no such role"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parsed(line: &str) -> Command {
        Cli::try_parse_from(words(line))
            .unwrap_or_else(|error| panic!("{error}"))
            .command
    }

    fn refused(line: &str) -> clap::Error {
        let error = Cli::try_parse_from(words(line)).expect_err(line);
        assert_eq!(error.exit_code(), i32::from(EXIT_USAGE), "{line}");
        error
    }

    fn words(line: &str) -> impl Iterator<Item = &str> {
        ["leveret"].into_iter().chain(line.split_whitespace())
    }

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn general_flags_may_stand_before_and_after_the_command() {
        for line in [
            "--config a.toml --json serve",
            "serve --config a.toml --json",
        ] {
            let cli = Cli::try_parse_from(words(line)).expect(line);
            assert_eq!(cli.config, Some(PathBuf::from("a.toml")));
            assert!(cli.json);
            assert!(matches!(cli.command, Command::Serve));
        }
        let cli =
            Cli::try_parse_from(words("serve --log-format json --log-level debug")).expect("right");
        assert_eq!(
            (cli.log.log_format, cli.log.log_level.as_deref()),
            (LogFormat::Json, Some("debug"))
        );
    }

    #[test]
    fn an_account_is_a_device_unless_it_is_said_otherwise() {
        let role_of = |line: &str| match parsed(line) {
            Command::Account(AccountCommand::Add { role, .. }) => role,
            other => panic!("{other:?}"),
        };
        assert_eq!(role_of("account add dev7 --generate"), Role::Device);
        for role in Role::ALL {
            assert_eq!(
                role_of(&format!("account add x --generate --role {}", role.name())),
                role
            );
        }
        assert_eq!(
            refused("account add x --generate --role root").kind(),
            ErrorKind::InvalidValue
        );
    }

    #[test]
    fn a_password_comes_from_exactly_one_place() {
        let source_of = |line: &str| match parsed(line) {
            Command::Account(
                AccountCommand::Add { password, .. } | AccountCommand::Passwd { password, .. },
            ) => password.into_source(),
            other => panic!("{other:?}"),
        };
        for command in ["add", "passwd"] {
            let line = |flags| format!("account {command} dev7 {flags}");
            assert_eq!(
                source_of(&line("--password p")),
                PasswordSource::Given("p".to_owned())
            );
            assert_eq!(source_of(&line("--password-stdin")), PasswordSource::Stdin);
            assert_eq!(source_of(&line("--generate")), PasswordSource::Generate);
            assert_eq!(
                refused(&line("")).kind(),
                ErrorKind::MissingRequiredArgument
            );
            assert_eq!(
                refused(&line("--password p --generate")).kind(),
                ErrorKind::ArgumentConflict
            );
        }
    }

    #[test]
    fn every_command_of_this_version_is_there_and_none_of_a_later_one() {
        for line in [
            "serve",
            "account list",
            "account remove a",
            "account import f.csv",
            "account disable a",
            "account enable a",
            "node list",
            "node list a/b",
            "node list --prefix a --after a/b --max 3 --long",
            "node create n a=b c=",
            "node configure n a=b",
            "node affiliate n a member",
            "node subscribe n a",
            "node unsubscribe n a@b/c",
            "node show n",
            "node create n",
            "node create n --set a=b --set c=",
            "node configure n --set a=b",
            "node delete n",
            "node purge n",
            "node retract n i",
            "node retract n i j",
            "node items n --max 3",
            "node publish n p",
            "node publish n --file - --id i",
            "session list",
            "session kick a@b/c",
            "config check",
            "config show",
            "status",
            "status --deep",
        ] {
            parsed(line);
        }
        for later in [
            "demo",
            "device add a",
            "alarm list",
            "backup f",
            "restore f",
        ] {
            assert_eq!(
                refused(later).kind(),
                ErrorKind::InvalidSubcommand,
                "{later}"
            );
        }
    }

    #[test]
    fn what_is_missing_or_malformed_is_wrong_usage() {
        for line in [
            "node configure n",
            "node configure n a",
            "node list a --prefix b",
            "node affiliate n a king",
            "node create n --set a",
            "node create n --set =b",
            "node publish n",
            "node publish n p --file f",
            "node items n --max 0",
            "node retract n",
            "session kick",
            "account add",
            "serve --log-format xml",
            "status --shallow",
        ] {
            refused(line);
        }
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_an_example() {
        fn walk(command: &mut clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{path} says nothing");
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{path} {} says nothing",
                    argument.get_id()
                );
            }
            if command.has_subcommands() {
                command
                    .get_subcommands_mut()
                    .for_each(|below| walk(below, &path));
            } else {
                let help = command.render_long_help().to_string();
                assert!(help.contains("Example"), "{path} shows no example:\n{help}");
            }
        }
        walk(&mut Cli::command(), "");
    }
}
