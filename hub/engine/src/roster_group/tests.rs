//! Who belongs, who sees, and whom to look up.

use super::*;

fn jid(name: &str) -> BareJid {
    BareJid::new(name, "localhost").unwrap()
}

fn group(name: &str, members: Vec<Who>, seen_by: Vec<Who>) -> RosterGroup {
    RosterGroup {
        name: name.into(),
        members,
        seen_by,
    }
}

fn words(groups: &RosterGroups, found: &[GroupId]) -> Vec<String> {
    let names = found.iter().map(|&id| groups.name(id).to_string());
    names.collect()
}

fn ward() -> RosterGroups {
    RosterGroups::new(vec![
        group(
            "Pendants",
            vec![Who::Pattern("pendant-".into())],
            vec![Who::Role(Role::Operator)],
        ),
        group(
            "Night shift",
            vec![Who::Account("nora".into()), Who::Account("nils".into())],
            vec![Who::Group("Night shift".into())],
        ),
        group(
            "Doors",
            vec![Who::Account("door-1".into()), Who::Role(Role::Service)],
            vec![Who::Group("Night shift".into()), Who::All],
        ),
    ])
}

#[test]
fn who_belongs_to_a_group_follows_from_name_and_role() {
    let ward = ward();
    let of = |name, role| words(&ward, &ward.of(&jid(name), role));
    assert_eq!(of("pendant-7", Role::Device), ["Pendants"]);
    assert_eq!(of("pendant", Role::Device), [""; 0]);
    assert_eq!(of("nora", Role::Operator), ["Night shift"]);
    assert_eq!(of("door-1", Role::Service), ["Doors"], "each group once");
    assert_eq!(of("door-2", Role::Device), [""; 0]);
}

#[test]
fn the_members_of_a_group_may_see_it_and_others() {
    let ward = ward();
    let seen = |name, role| words(&ward, &ward.seen_by(&jid(name), role));
    assert_eq!(
        seen("nora", Role::Operator),
        ["Pendants", "Night shift", "Doors"]
    );
    assert_eq!(seen("otto", Role::Operator), ["Pendants", "Doors"]);
    assert_eq!(seen("pendant-7", Role::Device), ["Doors"]);
    let (nora, nils) = (jid("nora"), jid("nils"));
    let (nora, nils) = ((&nora, Role::Device), (&nils, Role::Device));
    assert!(ward.sees(nora, nils) && ward.sees(nils, nora));
    assert!(!ward.sees(nora, nora), "nobody is a contact of its own");
}

#[test]
fn a_contact_is_seen_through_the_groups_that_both_sides_have() {
    let ward = Arc::new(ward());
    let nora = Viewer::new(&ward, &jid("nora"), Role::Operator);
    let nils = nora.look(&jid("nils"), Role::Operator).unwrap();
    assert_eq!(nora.names(&nils.groups), ["Night shift".into()]);
    assert!(nils.mutual);
    let door = nora.look(&jid("door-1"), Role::Device).unwrap();
    assert!(!door.mutual);
    assert_eq!(nora.look(&jid("nora"), Role::Operator), None);
    assert_eq!(nora.look(&jid("lamp"), Role::Device), None);
}

#[test]
fn a_wider_look_up_makes_a_narrower_one_needless() {
    let groups = RosterGroups::new(vec![
        group(
            "a",
            vec![
                Who::Pattern("p-1".into()),
                Who::Pattern("p-".into()),
                Who::Role(Role::Device),
                Who::Account("x".into()),
                Who::Account("x".into()),
            ],
            Vec::new(),
        ),
        group("b", vec![Who::All], Vec::new()),
    ]);
    let role = |role, start: &str| Lookup::Role {
        role,
        start: start.into(),
    };
    let accounts = Lookup::Accounts(vec!["x".into()]);
    assert_eq!(
        groups.lookups(&[GroupId(0)]),
        [
            role(Role::Device, ""),
            role(Role::Operator, "p-"),
            role(Role::Service, "p-"),
            role(Role::Admin, "p-"),
            accounts.clone()
        ]
    );
    let all = Role::ALL.map(|each| role(each, ""));
    assert_eq!(groups.lookups(&[GroupId(0), GroupId(1)])[..4], all);
    assert!(groups.lookups(&[]).is_empty());
}

#[test]
fn ten_thousand_shared_contacts_are_small() {
    let groups = Arc::new(RosterGroups::new(vec![group(
        "Pendants",
        vec![Who::Role(Role::Device)],
        vec![Who::Role(Role::Operator)],
    )]));
    let viewer = Viewer::new(&groups, &jid("olga"), Role::Operator);
    let mut contacts = SharedContacts::default();
    for number in 0..10_000 {
        let device = jid(&format!("pendant-{number:05}"));
        let shared = viewer.look(&device, Role::Device).unwrap();
        contacts.push(&viewer, &device, shared);
    }
    assert_eq!(contacts.sets.len(), 1);
    assert!(contacts.weight() < 500_000, "{}", contacts.weight());
    let (name, subscription, of) = contacts.iter().nth(9_999).unwrap();
    assert_eq!(name, "pendant-09999@localhost");
    assert_eq!(
        (subscription, of),
        (Subscription::To, &["Pendants".into()][..])
    );
}
