//! `leveret account`: keys are derived here, on all cores, and only keys go to the hub.

use std::{
    collections::VecDeque,
    fs,
    io::{self, IsTerminal, Read, Write},
    path::Path,
    thread,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD},
};
use leveret_engine::{
    account::Role,
    address::BareJid,
    credentials::{Credentials, Derivation, Password, SALT_BYTES},
};
use zeroize::Zeroizing;

use super::{
    CommandError,
    args::{AccountCommand, PasswordSource},
    print,
    target::Target,
};
use crate::admin::protocol::{
    ACCOUNTS_PER_REQUEST_MAX, AccountInfo, NewAccount, Request, Response,
};

/// Longest import file, in bytes.
const IMPORT_BYTES_MAX: u64 = 1 << 30;
/// Accounts asked for at a time by `list`.
const PAGE: u32 = 1_000;
/// Faults of an import that are printed; the rest are counted.
const FAULTS_SHOWN: usize = 20;

pub(super) async fn run(
    command: AccountCommand,
    json: bool,
    domain: &str,
    target: &mut Target,
) -> Result<(), CommandError> {
    match command {
        AccountCommand::Add {
            name,
            password,
            role,
        } => {
            let jid = address(&name, domain)?;
            let (secret, generated) = password_from(password.into_source())?;
            let new = derive(&jid, &secret, generated, role)?;
            let request = Request::AddAccounts {
                accounts: vec![new],
                replace: false,
            };
            match target.ask(request).await? {
                Response::Added(results) => match results.into_iter().next().flatten() {
                    None => {}
                    Some(why) => {
                        return Err(CommandError::Failed(format!("{jid} was not added: {why}")));
                    }
                },
                other => return Err(CommandError::unexpected(&other)),
            }
            tell(json, &jid, "added", generated.then_some(secret.as_str()));
        }
        AccountCommand::Passwd { name, password } => {
            let jid = address(&name, domain)?;
            let (secret, generated) = password_from(password.into_source())?;
            let credentials = derive(&jid, &secret, generated, Role::Device)?.credentials;
            target
                .ask(Request::SetCredentials {
                    jid: jid.to_string(),
                    credentials,
                })
                .await?;
            tell(
                json,
                &jid,
                "password changed",
                generated.then_some(secret.as_str()),
            );
        }
        AccountCommand::List => list(json, target).await?,
        AccountCommand::Remove { name } => {
            let jid = address(&name, domain)?;
            target
                .ask(Request::RemoveAccount {
                    jid: jid.to_string(),
                })
                .await?;
            tell(json, &jid, "removed", None);
        }
        AccountCommand::Disable { name } => {
            let jid = address(&name, domain)?;
            target
                .ask(Request::SetEnabled {
                    jid: jid.to_string(),
                    enabled: false,
                })
                .await?;
            tell(json, &jid, "disabled", None);
        }
        AccountCommand::Enable { name } => {
            let jid = address(&name, domain)?;
            target
                .ask(Request::SetEnabled {
                    jid: jid.to_string(),
                    enabled: true,
                })
                .await?;
            tell(json, &jid, "enabled", None);
        }
        AccountCommand::Import { file } => import(&file, json, domain, target).await?,
    }
    Ok(())
}

/// NAME is a localpart or a bare address of our domain.
pub(super) fn address(name: &str, domain: &str) -> Result<BareJid, CommandError> {
    let jid = if name.contains('@') {
        BareJid::parse(name)
    } else {
        BareJid::new(name, domain)
    };
    let jid =
        jid.map_err(|error| CommandError::Usage(format!("'{name}' is no account name: {error}")))?;
    if jid.domain() != domain || jid.local().is_none() {
        return Err(CommandError::Usage(format!(
            "'{name}' is no account of {domain}"
        )));
    }
    Ok(jid)
}

fn tell(json: bool, jid: &BareJid, what: &str, password: Option<&str>) {
    if json {
        let mut value = serde_json::json!({ "jid": jid.as_str(), "result": what });
        if let (Some(password), Some(object)) = (password, value.as_object_mut()) {
            object.insert("password".to_owned(), password.into());
        }
        return print::json(&value);
    }
    print::line(&format!("{jid}: {what}"));
    if let Some(password) = password {
        print::line(&format!("password: {password}"));
    }
}

/// The password, and whether it was made here.
fn password_from(source: PasswordSource) -> Result<(Zeroizing<String>, bool), CommandError> {
    match source {
        PasswordSource::Given(password) => Ok((Zeroizing::new(password), false)),
        PasswordSource::Generate => {
            let bytes =
                crate::secret::random().map_err(|error| CommandError::Failed(error.to_string()))?;
            Ok((Zeroizing::new(URL_SAFE_NO_PAD.encode(&bytes[..16])), true))
        }
        PasswordSource::Stdin => {
            /// Longer than any password (RFC 8265 sets no bound; ours is far below).
            const LINE_BYTES_MAX: u64 = 64 << 10;
            let mut text = Zeroizing::new(String::new());
            io::stdin()
                .lock()
                .take(LINE_BYTES_MAX)
                .read_to_string(&mut text)
                .map_err(|error| CommandError::Failed(format!("standard input: {error}")))?;
            let line = text.lines().next().unwrap_or_default();
            Ok((Zeroizing::new(line.to_owned()), false))
        }
    }
}

fn derive(
    jid: &BareJid,
    password: &str,
    generated: bool,
    role: Role,
) -> Result<NewAccount, CommandError> {
    let prepared = Password::prepare(password).map_err(|error| {
        CommandError::Usage(format!("the password of {jid} cannot be used: {error}"))
    })?;
    let random =
        || crate::secret::random().map_err(|error| CommandError::Failed(error.to_string()));
    let salt = |bytes: &[u8]| <[u8; SALT_BYTES]>::try_from(bytes).unwrap_or_default();
    let (one, two) = (random()?, random()?);
    let mut how = Derivation::with_salts(
        salt(&one[..SALT_BYTES]),
        salt(&one[SALT_BYTES..2 * SALT_BYTES]),
    );
    if generated {
        how.generated_secret_salt = Some(salt(&two[..SALT_BYTES]));
    }
    Ok(NewAccount {
        jid: jid.to_string(),
        role: role.name().to_owned(),
        credentials: BASE64.encode(Credentials::derive(&prepared, &how).encode()),
    })
}

async fn list(json: bool, target: &mut Target) -> Result<(), CommandError> {
    let mut all: Vec<AccountInfo> = Vec::new();
    loop {
        let after = all.last().map(|last| last.jid.clone());
        match target
            .ask(Request::ListAccounts { after, max: PAGE })
            .await?
        {
            Response::Accounts(page) if page.is_empty() => break,
            Response::Accounts(page) => all.extend(page),
            other => return Err(CommandError::unexpected(&other)),
        }
    }
    if json {
        print::json(&all);
    } else {
        let rows = all.into_iter().map(|one| {
            let state = if one.enabled { "" } else { "disabled" };
            [
                one.jid,
                one.role,
                one.created,
                one.last_seen.unwrap_or_else(|| "-".to_owned()),
                state.to_owned(),
            ]
        });
        print::table(["ACCOUNT", "ROLE", "CREATED", "LAST SEEN", ""], rows);
    }
    Ok(())
}

/// One line of an import that can be read.
struct Line {
    number: usize,
    jid: BareJid,
    password: Zeroizing<String>,
    role: Role,
}

/// Adds the accounts of a CSV file, each line `name,password,role`. Lines that cannot be read are told before anything is
/// added; accounts that exist already stay as they are and are counted.
async fn import(
    file: &Path,
    json: bool,
    domain: &str,
    target: &mut Target,
) -> Result<(), CommandError> {
    let shown = file.display();
    let failed = |error: io::Error| CommandError::Failed(format!("{shown}: {error}"));
    if fs::metadata(file).map_err(failed)?.len() > IMPORT_BYTES_MAX {
        return Err(CommandError::Failed(format!(
            "{shown} is larger than {}",
            print::bytes(IMPORT_BYTES_MAX)
        )));
    }
    let text = Zeroizing::new(fs::read_to_string(file).map_err(failed)?);
    let mut lines = read_csv(&text, domain).map_err(|faults| {
        CommandError::Usage(format!("{shown}: nothing was added\n{}", some_of(&faults)))
    })?;
    let total = lines.len();
    let progress = io::stderr().is_terminal() && !json;
    let (mut added, mut faults) = (0, Vec::new());
    while !lines.is_empty() {
        let batch: Vec<Line> = lines
            .drain(..lines.len().min(ACCOUNTS_PER_REQUEST_MAX))
            .collect();
        let accounts = derive_all(&batch)?;
        match target
            .ask(Request::AddAccounts {
                accounts,
                replace: false,
            })
            .await?
        {
            Response::Added(results) => {
                for (line, result) in batch.iter().zip(results) {
                    match result {
                        None => added += 1,
                        Some(why) => {
                            faults.push(format!("line {}: {}: {why}", line.number, line.jid))
                        }
                    }
                }
            }
            other => return Err(CommandError::unexpected(&other)),
        }
        if progress {
            let _ = write!(io::stderr(), "\r{} of {total}", added + faults.len());
        }
    }
    if progress {
        let _ = writeln!(io::stderr());
    }
    if json {
        print::json(&serde_json::json!({ "added": added, "failed": faults }));
    } else {
        print::line(&format!("{added} accounts added"));
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(CommandError::Failed(format!(
            "{} of {total} were not added\n{}",
            faults.len(),
            some_of(&faults)
        )))
    }
}

fn some_of(faults: &[String]) -> String {
    let mut text = faults
        .iter()
        .take(FAULTS_SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("\n");
    if faults.len() > FAULTS_SHOWN {
        text.push_str(&format!("\nand {} more", faults.len() - FAULTS_SHOWN));
    }
    text
}

fn read_csv(text: &str, domain: &str) -> Result<VecDeque<Line>, Vec<String>> {
    let (mut lines, mut faults) = (VecDeque::new(), Vec::new());
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::None)
        .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                faults.push(error.to_string());
                continue;
            }
        };
        let number = record
            .position()
            .map_or(0, |at| usize::try_from(at.line()).unwrap_or(0));
        let fields: Vec<&str> = record.iter().collect();
        // The heading that spreadsheets write.
        if number == 1 && fields.first() == Some(&"name") && fields.get(1) == Some(&"password") {
            continue;
        }
        let read = match fields[..] {
            [name, password] => line(number, name, password, Role::default().name(), domain),
            [name, password, role] => line(number, name, password, role, domain),
            _ => Err(format!(
                "expected name,password,role but found {} fields",
                fields.len()
            )),
        };
        match read {
            Ok(line) => lines.push_back(line),
            Err(why) => faults.push(format!("line {number}: {why}")),
        }
    }
    if faults.is_empty() {
        Ok(lines)
    } else {
        Err(faults)
    }
}

fn line(
    number: usize,
    name: &str,
    password: &str,
    role: &str,
    domain: &str,
) -> Result<Line, String> {
    let jid = address(name.trim(), domain).map_err(|error| error.to_string())?;
    let role = match role.trim() {
        "" => Role::default(),
        role => Role::by_name(role).ok_or_else(|| {
            format!(
                "there is no role '{role}'; expected {}",
                Role::ALL.map(Role::name).join(", ")
            )
        })?,
    };
    Password::prepare(password).map_err(|error| format!("the password cannot be used: {error}"))?;
    Ok(Line {
        number,
        jid,
        password: Zeroizing::new(password.to_owned()),
        role,
    })
}

/// Derives the keys of a batch on all cores (S32).
fn derive_all(batch: &[Line]) -> Result<Vec<NewAccount>, CommandError> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = batch.len().div_ceil(cores).max(1);
    thread::scope(|scope| {
        let parts: Vec<_> = batch
            .chunks(share)
            .map(|part| {
                scope.spawn(move || {
                    let derived = part
                        .iter()
                        .map(|one| derive(&one.jid, &one.password, false, one.role));
                    derived.collect::<Result<Vec<_>, _>>()
                })
            })
            .collect();
        let mut all = Vec::with_capacity(batch.len());
        for part in parts {
            let derived = part.join();
            all.extend(
                derived.map_err(|_| CommandError::Failed("key derivation failed".to_owned()))??,
            );
        }
        Ok(all)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_reads_quotes_headings_and_missing_roles() {
        let text = "\u{feff}name,password,role\ndev1,\"a,b\"\"c\"\npanel@localhost,pw,operator\n";
        let lines = read_csv(text, "localhost").unwrap_or_else(|faults| panic!("{faults:?}"));
        let read: Vec<_> = lines
            .iter()
            .map(|line| {
                (
                    line.number,
                    line.jid.as_str(),
                    line.password.as_str(),
                    line.role,
                )
            })
            .collect();
        assert_eq!(
            read,
            [
                (2, "dev1@localhost", "a,b\"c", Role::Device),
                (3, "panel@localhost", "pw", Role::Operator)
            ]
        );
    }

    #[test]
    fn an_import_names_every_line_that_is_wrong() {
        let faults = read_csv("a,b,c,d\nx@elsewhere,pw\ndev,pw,king\n", "localhost")
            .err()
            .unwrap();
        assert_eq!(faults.len(), 3);
        for (fault, line) in faults.iter().zip(1..) {
            assert!(fault.starts_with(&format!("line {line}: ")), "{fault}");
        }
    }
}
