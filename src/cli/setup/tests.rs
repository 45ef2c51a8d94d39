use super::*;

#[test]
fn what_is_written_says_what_was_chosen_and_can_be_read() {
    let strange = Path::new("/srv/a \"b\"\\c/nodes.db");
    let text = content(strange, "my nodes");
    let config = config::parse(Path::new("x.toml"), &text).unwrap();
    assert_eq!((&*config.database.path, &*config.database.table), (strange, "my nodes"));
    assert!(!content(strange, "nodes").contains("table"), "a default is not written");
}

#[test]
fn a_path_is_written_as_an_absolute_one() {
    let config = config::parse(Path::new("x.toml"), &content(Path::new("c.db"), "nodes")).unwrap();
    assert_eq!(config.database.path, std::env::current_dir().unwrap().join("c.db"));
}

#[test]
fn the_file_is_made_with_its_folder_for_root_and_its_group_and_never_over_one() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = tempfile::tempdir().unwrap();
    let file = sandbox.path().join("connexa/connexad.toml");
    write(&file, "a").unwrap();
    let others = std::fs::metadata(&file).unwrap().permissions().mode() & 0o137;
    assert_eq!(others, 0, "nobody else reads it");
    assert!(matches!(write(&file, "b"), Err(SetupError::Exists { .. })));
    let link = sandbox.path().join("link");
    std::os::unix::fs::symlink("/nowhere", &link).unwrap();
    assert!(matches!(write(&link, "b"), Err(SetupError::Exists { .. })));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "a");
}
