//! `[[component]]`: which external components may attach, and what they must know.

use std::path::{Path, PathBuf};

use leveret_engine::{
    account::Role,
    address::BareJid,
    component::{Component, ComponentSecret, SECRET_BYTES_MAX, SECRET_BYTES_MIN},
};
use toml::Spanned;
use toml::de::DeValue;

use super::check;
use super::error::ConfigError;
use super::form::Form;
use super::keys::quoted;
use super::rules::{Rule, RuleKey, tables};
use super::source::Source;

/// One `[[component]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentConfig {
    /// The domain that it speaks for, in lower case.
    pub domain: String,
    /// As what the access rules see its addresses.
    pub role: Role,
    /// What it must know.
    pub secret: SecretSource,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In the configuration itself.
    Given(ComponentSecret),
    /// In a file of its own: all of it but the end of the last line.
    File(PathBuf),
}

/// Why a component's secret cannot be had. Each reads as one sentence, and none shows the secret.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum SecretError {
    #[error("the secret_file {} of component {domain} cannot be read: {error}", path.display())]
    Unreadable {
        domain: String,
        path: PathBuf,
        error: std::io::Error,
    },
    #[error(
        "the secret_file {} of component {domain} does not hold from {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes of text",
        path.display()
    )]
    Length { domain: String, path: PathBuf },
}

pub(super) const COMPONENT_KEYS: [RuleKey; 4] = [
    RuleKey {
        name: "domain",
        form: Form::Text("a domain name such as \"sensors.localhost\""),
        default: None,
        meaning: "The domain that the component speaks for: every address of it, and no other. Neither `domain` nor the pubsub service, and each once.",
    },
    RuleKey {
        name: "secret_file",
        form: Form::Path("a file with the secret"),
        default: Some("not set"),
        meaning: "The file that holds the secret, of 16 to 1024 bytes; the end of its last line does not count. Either this or `secret` must be given.",
    },
    RuleKey {
        name: "secret",
        form: Form::Text("16 to 1024 bytes"),
        default: Some("not set"),
        meaning: "The secret itself. `leveret config show` does not print it.",
    },
    RuleKey {
        name: "role",
        form: Form::Choice(&["device", "operator", "service", "admin"]),
        default: Some("`\"service\"`"),
        meaning: "The role that access rules see at each address of the component. Rules for `account:NAME` and `%u` never speak of them.",
    },
];

pub(super) fn read_components(
    source: &Source<'_>,
    value: &Spanned<DeValue<'_>>,
    domain: &str,
    service: &str,
) -> Result<Vec<ComponentConfig>, ConfigError> {
    let mut components: Vec<ComponentConfig> = Vec::new();
    for table in tables(source, "component", value)? {
        let rule = Rule::open(source, "[[component]]", table, &COMPONENT_KEYS)?;
        let field = rule.required("domain")?;
        let own = check::domain(&field)?;
        if own == domain || own == service {
            return Err(field.refuse(
                &format!("\"{own}\" is the hub's own"),
                "expected a domain of the component's own, such as sensors. and the domain",
            ));
        }
        if components.iter().any(|other| other.domain == own) {
            return Err(field.refuse(
                &format!("\"{own}\" belongs to another [[component]]"),
                "expected each domain once",
            ));
        }
        // The place shown is the table's: the line of the secret must not be printed.
        let fault = |what: &str, advice: &str| {
            let advice = Some(advice.to_owned());
            Err(source.fault(Some(table.span()), what.to_owned(), advice))
        };
        let secret = match (rule.field("secret"), rule.field("secret_file")) {
            (Some(secret), None) => match ComponentSecret::new(&secret.text()?) {
                Some(secret) => SecretSource::Given(secret),
                None => {
                    return fault(
                        "the `secret` of this [[component]] is too short or too long",
                        "expected 16 to 1024 bytes",
                    );
                }
            },
            (None, Some(file)) => SecretSource::File(file.path()?),
            (None, None) => {
                return fault(
                    "this [[component]] has no secret",
                    "expected `secret_file`, or `secret`",
                );
            }
            (Some(_), Some(_)) => {
                return fault(
                    "this [[component]] has two secrets",
                    "expected `secret_file` or `secret`, not both",
                );
            }
        };
        let role = match rule.field("role") {
            Some(field) => Role::by_name(field.choice()?).unwrap_or(Role::Service),
            None => Role::Service,
        };
        components.push(ComponentConfig {
            domain: own,
            role,
            secret,
        });
    }
    Ok(components)
}

impl ComponentConfig {
    /// The component for the engine, its secret read.
    ///
    /// # Panics
    /// If `domain` was set to what cannot be one; reading a file refuses that.
    pub fn load(&self) -> Result<Component, SecretError> {
        let secret = match &self.secret {
            SecretSource::Given(secret) => secret.clone(),
            SecretSource::File(path) => read_secret(&self.domain, path)?,
        };
        Ok(Component {
            domain: BareJid::parse(&self.domain).expect("a domain is checked when it is read"),
            role: self.role,
            secret,
        })
    }

    pub(super) fn to_toml(&self) -> String {
        let secret = match &self.secret {
            SecretSource::Given(_) => "# secret is set and not shown".to_owned(),
            SecretSource::File(path) => {
                format!("secret_file = {}", quoted(&path.display().to_string()))
            }
        };
        format!(
            "[[component]]\ndomain = {}\n{secret}\nrole = \"{}\"\n",
            quoted(&self.domain),
            self.role.name()
        )
    }
}

fn read_secret(domain: &str, path: &Path) -> Result<ComponentSecret, SecretError> {
    let text = std::fs::read_to_string(path).map_err(|error| SecretError::Unreadable {
        domain: domain.to_owned(),
        path: path.to_owned(),
        error,
    })?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    ComponentSecret::new(line).ok_or_else(|| SecretError::Length {
        domain: domain.to_owned(),
        path: path.to_owned(),
    })
}
