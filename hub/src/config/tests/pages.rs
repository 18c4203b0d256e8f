//! The file as a whole: where it lies, how it is shown, where it is documented.

use super::*;

#[test]
fn relative_paths_are_relative_to_the_folder_of_the_file() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("leveret.toml");
    std::fs::write(
        &path,
        "data_dir = \"data\"\n[tls]\ncertificate = \"c.pem\"\nkey = \"/etc/k.pem\"",
    )
    .expect("written");
    let config = Config::load(Some(&path)).expect("a right file");
    assert_eq!(config.data_dir, folder.path().join("data"));
    assert_eq!(config.tls.certificate, Some(folder.path().join("c.pem")));
    assert_eq!(config.tls.key, Some(PathBuf::from("/etc/k.pem")));
}

#[test]
fn a_file_that_cannot_be_read_is_told_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let missing = folder.path().join("none.toml");
    let error = Config::load(Some(&missing))
        .expect_err("there is none")
        .to_string();
    assert_eq!(
        error,
        format!(
            "cannot read the configuration file {}: there is no such file",
            missing.display()
        )
    );
    let error = Config::load(Some(folder.path()))
        .expect_err("a folder is no file")
        .to_string();
    assert!(error.ends_with("it is a folder"), "{error}");
    let binary = folder.path().join("binary.toml");
    std::fs::write(&binary, [0xff, 0xfe]).expect("written");
    let error = Config::load(Some(&binary))
        .expect_err("not text")
        .to_string();
    assert!(error.ends_with("it is not UTF-8 text"), "{error}");
}

#[test]
fn what_config_show_prints_loads_as_the_same_configuration() {
    let mut config = Config::default();
    assert_eq!(load(&config.to_toml_with_defaults()), config);
    config = load(
        "domain = \"iot.example.org\"\ndata_dir = 'C:\\a \"b\"\u{9}'\n[xmpp]\nlisten = []\n[limits]\nroster_items = 0\nping_seconds = 0\nstanzas_per_second = 0\n\
         mailbox_memory = 1500000\n[[class]]\non = \"a\"\nclass = \"state\"\n[[history]]\non = \"a/#\"\nage = \"30d\"\nbytes = \"10M\"\n\
         [[access]]\nwho = \"account:x\"\ndo = [\"publish\"]\non = \"#\"\nallow = false\n\
         [[access]]\nwho = \"group:B \\\"2\\\"\"\ndo = [\"publish\"]\non = \"#\"\n\
         [[roster_group]]\nname = \"A\"\nmembers = [\"all\", \"role:device\", \"pattern:dev-*\"]\n\
         [[roster_group]]\nname = \"B \\\"2\\\"\"\nmembers = []\nseen_by = [\"account:x\", \"group:A\"]",
    );
    assert_eq!(load(&config.to_toml_with_defaults()), config);
}

#[test]
fn every_key_is_shown_by_config_show() {
    let shown = Config::default().to_toml_with_defaults();
    for key in keys::KEYS {
        let (set, unset) = (
            format!("\n{} = ", key.name),
            format!("\n# {} is not set", key.name),
        );
        let shown = format!("\n{shown}");
        assert!(
            shown.contains(&set) || shown.contains(&unset),
            "{} is missing",
            key.name
        );
    }
}

/// Fails when `docs/configuration.md` lacks a key, or says anything else than the table of keys.
#[test]
fn the_configuration_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("LEVERET_WRITE_DOCS").is_some() {
        std::fs::write(&path, Config::reference()).expect("the page is writable");
    }
    let page = std::fs::read_to_string(&path).expect("the page exists");
    for key in keys::KEYS {
        assert!(
            page.contains(&format!("| `{}` |", key.name)),
            "{} is missing in {}",
            key.name,
            path.display()
        );
    }
    assert!(
        page == Config::reference(),
        "{} is stale: run this test with LEVERET_WRITE_DOCS=1",
        path.display()
    );
}
