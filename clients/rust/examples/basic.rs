//! Connect, create a table, write, read your own writes, be refused. Usage: cargo run --example basic [localhost:50051]

use tesseract::{Column, DataType, Error, Hub, Query, Row, Rows, Timestamp, Value, row};

/// A value as all clients print it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Int64(value) => value.to_string(),
        Value::Float64(value) => format!("{value:.2}"),
        Value::Timestamp(value) => value.to_string(),
        Value::Text(text) | Value::Json(text) => text.to_string(),
    }
}

/// A row: texts in quotes, so that the empty one shows.
fn line(row: &Row) -> String {
    let cell = |(column, value): (&Column, &Value)| match value {
        Value::Text(text) if column.name == "name" => format!("name=\"{text}\""),
        value => format!("{}={}", column.name, shown(value)),
    };
    row.columns().iter().zip(row.values()).map(cell).collect::<Vec<_>>().join(" ")
}

/// An error, for a program that switches on it: the status code and the reason.
fn refusal(error: &Error) -> String {
    format!("refused: {} {}", error.code_name(), error.reason)
}

fn print(rows: &Rows) {
    rows.iter().for_each(|row| println!("  {}", line(row)));
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("localhost:50051".into());
    let hub = Hub::connect(&address).await?;
    hub.delete_table("basic_orders", true).await?;
    let columns = [
        Column::new("id", DataType::Int64).key(),
        Column::new("name", DataType::String),
        Column::new("price", DataType::Float64),
        Column::new("open", DataType::Bool),
        Column::new("at", DataType::Timestamp),
        Column::new("doc", DataType::Json),
        Column::one_of("status", ["ready", "shipped"]),
    ];
    let orders = hub.create_table("basic_orders", columns).await?;
    let kind = |column: &Column| column.r#type().as_str_name().trim_start_matches("DATA_TYPE_").to_lowercase();
    let columns: Vec<_> = orders.columns().iter().map(|column| format!("{} {}", column.name, kind(column))).collect();
    println!("columns: {}", columns.join(", "));

    let order = |id: i64,
                 name: Option<&str>,
                 price: f64,
                 open: Option<bool>,
                 at: Option<i64>,
                 doc: Option<&str>,
                 status: Option<&str>| {
        let doc = doc.map_or(Value::Null, Value::json);
        row! {
            "id" => id, "name" => name, "price" => price, "open" => open, "at" => at.map(Timestamp), "doc" => doc,
            "status" => status,
        }
    };
    let document = r#"{"size":2,"tags":["new","red"]}"#;
    let rows = [
        order(1, Some("Ada"), 12.5, Some(true), Some(1_795_407_300_000_001), Some(document), Some("ready")),
        order(2, Some(""), f64::NAN, Some(false), Some(-1), None, Some("shipped")), // empty is not null
        order(9_007_199_254_740_993, Some("🚀 déjà vu"), f64::INFINITY, None, None, Some("{}"), None),
        order(i64::MIN, None, f64::NEG_INFINITY, Some(true), None, Some("[1,null]"), None),
    ];
    let version = orders.insert(rows).await?;
    println!("wrote 4 rows");
    let found = hub.query_at(Query::of("basic_orders").by("id"), None, version).await?;
    println!("read my own writes: {}", found.version >= version);
    print(&found);

    let update = orders.updating(row! {"id" => 1, "price" => 13.75})?;
    let version = hub.commit([update, orders.deleting([2])?]).await?;
    println!("updated 1 and deleted 2 in one commit");
    print(&hub.query_at(Query::of("basic_orders").keep("price > 13").by("id"), None, version).await?);
    let keys: Vec<_> = orders.get([1, 2]).await?.iter().map(|row| shown(&row["id"])).collect();
    println!("of the keys 1 and 2 there are: {}", keys.join(" "));

    let error = orders.insert([row! {"id" => 5}, row! {"id" => 1}]).await.expect_err("1 is there");
    println!("{}, row {}, column {}", refusal(&error), error.row_errors[0].row, error.row_errors[0].column);
    let error = hub.query(Query::of("basic_orders").keep("prize > 13")).await.expect_err("there is no prize");
    println!("{}", refusal(&error));
    let error = hub.table("basic_missing").await.expect_err("there is no such table");
    println!("{}", refusal(&error));
    println!("rows after the refusals: {}", hub.query(Query::of("basic_orders")).await?.len());
    hub.delete_table("basic_orders", false).await?;
    Ok(())
}
