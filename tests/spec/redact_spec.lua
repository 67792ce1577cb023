-- Secrets leave what is recorded; code stays what it was.

local redact = require "lurn.redact" ()

describe("redaction", function ()
  it("hides passwords and tokens", function ()
    for given, expected in pairs {
      ["postgres://ada:s3cr@t@db.example.org/runs"] = "postgres://ada:***@db.example.org/runs",
      ["https://ghtoken@github.com/a/b.git"] = "https://***@github.com/a/b.git",
      ["https://x:ghp_0123456789abcdefghij@github.com/a/b"] = "https://x:***@github.com/a/b",
      ["http://host:80/path"] = "http://host:80/path",
      ["git@github.com:a/b.git"] = "git@github.com:a/b.git",
      ["password=hunter2 lr=0.1"] = "password=*** lr=0.1",
      ["PASSWORD: hunter2"] = "PASSWORD: ***",
      ["+ local db_password = \"correct horse\""] = "+ local db_password = \"***\"",
      ["{\"api_key\": \"abc\", \"lr\": 0.1}"] = "{\"api_key\": \"***\", \"lr\": 0.1}",
      ["?token=abcdef&x=1"] = "?token=***&x=1",
      ["token = 'abcdef'"] = "token = '***'",
      ["token = 8f3a9c2e"] = "token = ***",
      ["curl -H 'Authorization: Bearer abc.def' url"] = "curl -H 'Authorization: ***' url",
      ["Authorization: Basic dXNlcjpwdw=="] = "Authorization: ***",
      ["run --password hunter2 --lr 1"] = "run --password *** --lr 1",
      ["id AKIAIOSFODNN7EXAMPLE end"] = "id *** end",
      ["aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"] = "aws_secret_access_key = ***",
      ["x ghp_0123456789abcdefghij0123456789abcdef y"] = "x *** y",
      ["-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----"] =
        "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----",
    } do assert.equal(expected, redact.text(given)) end
  end)

  it("leaves code and paths alone", function ()
    for _, text in ipairs {"token = tokens[i]", "local token = vocab.token_of(word)", "tokens = 128", "sk-learn",
      "for token, n in pairs(counts) do", "a = b:c(d)", "lr=0.001 --data /home/ada/kjv.txt", "passes = 3",
      "author = \"Ada\""} do
      assert.equal(text, redact.text(text))
    end
  end)

  it("knows the words of a command line and variables", function ()
    assert.same({"run", "a.lua", "--password", "***", "--token=***", "--lr", "1", "--store", "postgres://u:***@h/d"},
      redact.words {"run", "a.lua", "--password", "x y", "--token=q", "--lr", "1", "--store", "postgres://u:p@h/d"})
    assert.equal("***", redact.variable("LURN_TOKEN", "abc"))
    assert.equal("sqlite://x", redact.variable("LURN_STORE", "sqlite://x"))
  end)

  it("takes time in proportion to the text", function ()
    local start = os.clock()
    redact.text(("a"):rep(200000) .. "\n" .. ("x = 1\n"):rep(20000) .. ("b.c-"):rep(50000) .. ("-----BEGIN "):rep(1000))
    assert.is_true(os.clock() - start < 2)
  end)
end)
