//! The house rules that a machine can hold us to. A rule that is in the way is changed here, with its reason.

use leveret_tests::{
    imports,
    source::{self, Source},
};

/// Nouns and what passes between the halves: everybody in the engine may import these.
const NOUNS: &[&str] = &[
    "access",
    "account",
    "address",
    "archive",
    "block_list",
    "capabilities",
    "class",
    "component",
    "credentials",
    "document",
    "history",
    "item",
    "limits",
    "message",
    "node",
    "payload",
    "refusal",
    "roster_group",
    "time",
];
const BETWEEN: &[&str] = &["command", "effect", "event", "mailbox"];
const PROTOCOLS: &[&str] = &["xmpp", "mqtt"];

/// Rust files longer than this hold more than one concept.
const LINES_MAX: usize = 600;

/// Files of the protocol folders that implement no document, each with the reason.
const IMPLEMENTS_NOTHING: &[(&str, &str)] = &[
    (
        "hub/engine/src/xmpp/mod.rs",
        "a table of contents; its files say what they implement",
    ),
    (
        "hub/engine/src/xmpp/output.rs",
        "what a session hands to its shell: ours, no document's",
    ),
    ("hub/engine/src/xmpp/sasl/fuzz.rs", "a face for the fuzzer"),
    (
        "hub/engine/src/xmpp/xml/element.rs",
        "a view of what was parsed; the parser says by which rules",
    ),
    (
        "hub/engine/src/xmpp/xml/write.rs",
        "appends to a buffer; what is escaped is said beside it",
    ),
];

/// Why a test may be left out of an ordinary run.
const MAY_WAIT: &[&str] = &[
    // A process that a test starts, of the same binary.
    "run by another test",
    // `tests/run --long` runs it.
    "takes minutes",
];

/// What would bring waiting, chance or the outside into the engine.
const NOT_IN_THE_ENGINE: &[&str] = &[
    "tokio",
    "rusqlite",
    "rustls",
    "tokio-rustls",
    "socket2",
    "mio",
    "getrandom",
    "rand",
    "tempfile",
];

fn complain(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}:\n  {}", faults.join("\n  "));
}

/// The module path of a file below `src`: `service/pubsub/mod.rs` is `["service", "pubsub"]`.
fn module<'a>(source: &'a Source, src: &str) -> Option<Vec<&'a str>> {
    let inside = source.path.strip_prefix(src)?.strip_suffix(".rs")?;
    let mut parts: Vec<_> = inside.split('/').collect();
    if parts.last() == Some(&"mod") {
        parts.pop();
    }
    Some(parts)
}

#[test]
fn the_engine_imports_as_the_architecture_says() {
    let mut faults = Vec::new();
    for file in source::rust() {
        let Some(module) = module(&file, "hub/engine/src/") else {
            continue;
        };
        let Some(own) = module
            .first()
            .copied()
            .filter(|own| !own.is_empty() && *own != "lib")
        else {
            continue;
        };
        for path in imports::within_crate(&file.code(), &module) {
            let Some(other) = path.first().map(String::as_str) else {
                continue;
            };
            let is_module = |name: &str| {
                NOUNS.contains(&name) || BETWEEN.contains(&name) || PROTOCOLS.contains(&name)
            };
            // Something else than a module: a macro, or an item that a test took from its own file.
            if !is_module(other) && !["service", "router"].contains(&other) {
                continue;
            }
            let common = NOUNS.contains(&other) || BETWEEN.contains(&other);
            let allowed = match own {
                noun if NOUNS.contains(&noun) => NOUNS.contains(&other),
                between if BETWEEN.contains(&between) => common,
                "service" => {
                    let sibling = path.get(1).filter(|name| is_service(name));
                    common
                        || (other == "service"
                            && sibling.is_none_or(|it| module.get(1) == Some(&it.as_str())))
                }
                protocol if PROTOCOLS.contains(&protocol) => common || other == own,
                "router" => !PROTOCOLS.contains(&other),
                _ => {
                    faults.push(format!("{}: `{own}` is in no row of the table", file.path));
                    break;
                }
            };
            if !allowed {
                faults.push(format!("{} names {}", file.path, path.join("::")));
            }
        }
    }
    complain("imports that docs/architecture.md forbids", &faults);
}

/// Whether the engine has a service of that name.
fn is_service(name: &str) -> bool {
    let services = source::root().join("hub/engine/src/service");
    services.join(name).is_dir() || services.join(format!("{name}.rs")).is_file()
}

#[test]
fn the_shell_imports_as_the_architecture_says() {
    let mut faults = Vec::new();
    for file in source::rust() {
        let Some(module) = module(&file, "hub/src/") else {
            continue;
        };
        let own = module.first().copied().unwrap_or_default();
        let code = file.code();
        for path in imports::below(&code, "leveret_engine::") {
            let Some(other) = path.first().map(String::as_str) else {
                continue;
            };
            let forbidden: &[&str] = match own {
                "store" => &[
                    "command", "event", "mailbox", "service", "router", "xmpp", "mqtt",
                ],
                "shard" => &["service", "xmpp", "mqtt"],
                "connection" | "listener" | "admin" => &["service"],
                _ => &[],
            };
            // A page of a list is asked for and answered in the words of the commands.
            let page = own == "store"
                && path
                    .get(1)
                    .is_some_and(|name| ["PageInfo", "PageRequest"].contains(&name.as_str()));
            if forbidden.contains(&other) && !page {
                faults.push(format!(
                    "{} names leveret_engine::{}",
                    file.path,
                    path.join("::")
                ));
            }
        }
        // `admin` besides reads the store's counts and has it checked; it changes nothing there.
        if ["connection", "listener"].contains(&own) {
            for path in imports::within_crate(&code, &module) {
                if path.first().is_some_and(|other| other == "store") {
                    faults.push(format!("{} names {}", file.path, path.join("::")));
                }
            }
        }
    }
    complain("imports that docs/architecture.md forbids", &faults);
}

#[test]
fn the_engine_depends_on_nothing_that_waits() {
    let manifest = std::fs::read_to_string(source::root().join("hub/engine/Cargo.toml")).unwrap();
    let faults: Vec<_> = manifest
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| NOT_IN_THE_ENGINE.contains(name))
        .map(str::to_owned)
        .collect();
    complain("dependencies that have no place in the engine", &faults);
}

#[test]
fn no_rust_file_is_longer_than_one_concept() {
    let faults: Vec<_> = source::rust()
        .iter()
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(file, lines)| format!("{}: {lines} lines", file.path))
        .collect();
    complain("files to split by concept, at most 600 lines", &faults);
}

#[test]
fn protocol_files_say_what_they_implement() {
    let mut faults = Vec::new();
    for file in source::rust() {
        let protocol = PROTOCOLS
            .iter()
            .any(|name| file.path.starts_with(&format!("hub/engine/src/{name}/")));
        if !protocol || file.is_test() {
            continue;
        }
        let exempt = IMPLEMENTS_NOTHING
            .iter()
            .any(|(path, _)| *path == file.path);
        match (exempt, file.implements()) {
            (false, None) => faults.push(format!("{}: no `//! Implements:`", file.path)),
            (true, Some(_)) => {
                faults.push(format!("{}: exempt, and needs no exemption", file.path))
            }
            _ => {}
        }
    }
    complain(
        "protocol files open with `//! Implements: DOCUMENT VERSION SECTIONS. Not: ...`",
        &faults,
    );
}

#[test]
fn nothing_unfinished_is_committed() {
    let unfinished = [
        concat!("dbg", "!("),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
    ];
    let mut faults = Vec::new();
    for file in source::rust() {
        for (number, line) in file.text.lines().enumerate() {
            let reason = line
                .trim()
                .strip_prefix(concat!("#[ign", "ore"))
                .map(|rest| rest.trim_matches([' ', '=', '"', ']']));
            if reason.is_some_and(|reason| !MAY_WAIT.contains(&reason)) {
                faults.push(format!("{}:{}: an ignored test", file.path, number + 1));
            }
            for sign in unfinished.iter().filter(|sign| line.contains(**sign)) {
                faults.push(format!("{}:{}: {sign}", file.path, number + 1));
            }
        }
    }
    complain("leftovers", &faults);
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let mut faults = Vec::new();
    for file in source::tracked() {
        for (number, line) in file.text.lines().enumerate() {
            for place in [
                concat!("/t", "mp"),
                concat!("/wo", "rk"),
                concat!("/ho", "me"),
                concat!("/ro", "ot"),
            ] {
                if line
                    .match_indices(place)
                    .any(|(at, _)| is_absolute(line, at, place.len()))
                {
                    faults.push(format!("{}:{}: {place}", file.path, number + 1));
                }
            }
        }
    }
    complain("paths of one machine", &faults);
}

/// Whether the text at `at` is a path from the file system's root, and not a part of another or of a longer word.
fn is_absolute(line: &str, at: usize, length: usize) -> bool {
    let name = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    let inside = |c: char| name(c) || "/}$*>)]".contains(c);
    !line[..at].ends_with(inside) && !line[at + length..].starts_with(name)
}

#[test]
fn every_link_to_a_document_resolves() {
    let mut faults = Vec::new();
    let root = source::root();
    for file in source::tracked() {
        for (number, line) in file.text.lines().enumerate() {
            let at = format!("{}:{}", file.path, number + 1);
            for (start, _) in line.match_indices(concat!("docs", "/")) {
                let end = line[start..]
                    .find(|c: char| !(c.is_alphanumeric() || "/._-".contains(c)))
                    .map_or(line.len(), |end| start + end);
                let target = line[start..end].trim_end_matches('.');
                let whole =
                    !line[..start].ends_with(|c: char| c.is_alphanumeric() || "/._-".contains(c));
                if whole && target.ends_with(".md") && !root.join(target).exists() {
                    faults.push(format!("{at}: {target}"));
                }
            }
            if file.path.ends_with(".md") {
                let folder = root.join(&file.path);
                for (start, _) in line.match_indices("](") {
                    let target = line[start + 2..]
                        .split([')', ' ', '#'])
                        .next()
                        .unwrap_or_default();
                    let local = !target.is_empty() && !target.contains(':');
                    if local && !folder.with_file_name(target).exists() {
                        faults.push(format!("{at}: {target}"));
                    }
                }
            }
        }
    }
    complain("links to nothing", &faults);
}

#[test]
fn the_rules_about_paths_see_paths() {
    let tmp = concat!("/t", "mp");
    for (line, is) in [
        (format!("cd {tmp}/x"), true),
        (format!("\"{tmp}\""), true),
        (format!("a{tmp}"), false),
        (format!("{tmp}fs"), false),
        (format!("${{DIR}}{tmp}"), false),
    ] {
        let at = line.find(tmp).unwrap();
        assert_eq!(is_absolute(&line, at, tmp.len()), is, "{line}");
    }
}
