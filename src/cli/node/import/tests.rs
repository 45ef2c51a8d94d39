use super::*;
use crate::desired::Value;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn secret(text: &str) -> Value {
    Value::Secret(Secret::parse(text).unwrap())
}

fn nodes(text: &str) -> Vec<Imported> {
    parse(Path::new("n.csv"), text.as_bytes()).unwrap()
}

fn fault(text: &str) -> String {
    let error = parse(Path::new("n.csv"), text.as_bytes()).unwrap_err().to_string();
    error.strip_prefix("n.csv: nothing imported: ").unwrap().to_owned()
}

#[test]
fn columns_stand_in_any_order_and_under_older_names() {
    let nodes = nodes("pass,USER, ip ,id\nsecret,admin,10.9.0.1,7\n");
    let fields = &nodes[0].fields;
    assert_eq!(nodes[0].id, Some(NodeId(7)));
    assert_eq!(fields.get("login"), Some(&text("admin")));
    assert_eq!(fields.get("password"), Some(&secret("secret")));
}

#[test]
fn what_is_left_empty_has_its_default() {
    let nodes = nodes("id,ip,login,password,status,mppe\n,10.9.0.1,a,p,,\n");
    assert_eq!(nodes[0].id, None);
    assert_eq!(nodes[0].fields.get("status"), Some(&text("online")));
    assert_eq!(nodes[0].fields.get("mppe"), None);
}

#[test]
fn a_password_is_taken_as_it_stands() {
    let nodes = nodes("ip,login,password\n10.9.0.1,a,\" a,\"\"b\"\" \"\n");
    assert_eq!(nodes[0].fields.get("password"), Some(&secret(" a,\"b\" ")));
}

#[test]
fn blanks_around_what_is_sent_are_refused_unless_they_are_quoted() {
    for (line, column) in [
        ("10.9.0.1, a,p", "login"),
        ("10.9.0.1,a, p", "password"),
        ("10.9.0.1,a,p ", "password"),
        ("10.9.0.1,\" a\",\tp", "password"),
    ] {
        let fault = fault(&format!("ip,login,password\n{line}\n"));
        assert!(fault.starts_with(&format!("line 2: its {column} begins or ends")), "{fault}");
    }
    let nodes = nodes("ip, login, password\n 10.9.0.1 ,\" a \",\" \"\"p\"\"\"\n");
    assert_eq!(nodes[0].fields.get("login"), Some(&text(" a ")));
    assert_eq!(nodes[0].fields.get("ip"), Some(&text("10.9.0.1")));
}

#[test]
fn a_mark_of_byte_order_and_the_lines_of_windows_are_no_matter() {
    assert_eq!(nodes("\u{feff}ip,login,password\r\n10.9.0.1,a,p\r\n").len(), 1);
}

#[test]
fn each_fault_is_told_with_its_line() {
    let text = "ip,login,password\n127.0.0.1,a,p\n10.9.0.1,a,p\n10.9.0.2,,p\n10.9.0.3,a\n";
    let fault = fault(text);
    let lines: Vec<&str> = fault.split(" | ").filter_map(|fault| fault.split(':').next()).collect();
    assert_eq!(lines, ["line 2", "line 4", "line 5"], "{fault}");
}

#[test]
fn a_line_after_a_field_of_several_lines_has_its_true_number() {
    let text = "ip,login,password,status\n10.9.0.1,a,p,\"two\nlines\"\nx,a,p,s\n";
    assert!(fault(text).starts_with("line 4: "), "{}", fault(text));
}

#[test]
fn lines_are_numbered_as_an_editor_numbers_them() {
    let lines = |text: &str| -> Vec<String> {
        let fault = fault(text);
        fault.split(" | ").map(|fault| fault.split(':').next().unwrap().to_owned()).collect()
    };
    for end in ["\n", "\r\n", "\r"] {
        for mark in ["", "\u{feff}"] {
            // Faults in lines 3, 6 and 7, the last without an end.
            let text = ["ip,login,password", "10.9.0.1,a,p", "x,a,p", "", "", "x,a,p", "y,b"];
            let text = format!("{mark}{}", text.join(end));
            assert_eq!(lines(&text), ["line 3", "line 6", "line 7"], "{text:?}");
            let late_header = format!("{end}{end}ip,login,password{end}x,a,p");
            assert_eq!(lines(&late_header), ["line 4"], "{late_header:?}");
        }
    }
}

#[test]
fn a_file_of_nothing_lacks_its_first_line() {
    assert!(fault("").starts_with("line 1: is missing"));
}

#[test]
fn no_fault_shows_a_password() {
    for text in [
        "10.9.0.1,admin,hunter2\n",
        "10.9.0.1;admin;hunter2\n",
        "ip,login,password\n10.9.0.1,a,@/hunter2\n",
        "ip,login,password\n10.9.0.1,a,\"hunter2\n\"\n",
        "ip,login,password\n10.9.0.1,a,hunter2,x\n",
    ] {
        assert!(!fault(text).contains("hunter2"), "{}", fault(text));
    }
}

#[test]
fn a_header_that_does_not_name_the_columns_is_told_with_those_it_takes() {
    assert!(fault("ip,login\n").starts_with("line 1: column password is missing; "));
    let unknown = fault("address,login\n");
    let expected = "line 1: has an unknown name in column 1; it names the columns";
    assert!(unknown.starts_with(expected), "{unknown}");
    let separator = fault("ip;login\n");
    assert!(separator.starts_with("line 1: has semicolons between its fields"), "{separator}");
    assert!(fault("ip,ip\n").starts_with("line 1: column \"ip\" is there twice; "));
}

#[test]
fn many_faults_are_cut_short() {
    let text = format!("ip,login,password\n{}", "x,a,p\n".repeat(50));
    assert!(fault(&text).ends_with(" | and 40 lines more"), "{}", fault(&text));
}
