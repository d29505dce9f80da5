using Serverless.Requests;
using Serverless.Tenancy;
using Shouldly;

namespace Serverless.Tests.Tenancy;

public sealed class ApiKeyTableTests
{
    [Fact]
    public void A_made_key_is_found_by_its_line_and_is_not_in_it()
    {
        var (key, line) = ApiKeyTable.Create("acme", "research", admin: true);
        var table = ApiKeyTable.Parse($"\n# our keys\n  {line}   # Ann's\r\n");

        var found = table.Find(key)!;

        found.Admin.ShouldBeTrue();
        found.Owner.ShouldBe(new Owner("acme", "research", line.Split(' ')[1]));
        line.ShouldNotContain(key);
        line.ShouldNotContain(key["sk-".Length..]);
        table.Find(key + "0").ShouldBeNull();
        table.Find("").ShouldBeNull();
    }

    [Fact]
    public void All_faulty_lines_are_told_at_once_and_none_is_repeated()
    {
        var line = ApiKeyTable.Create("acme", "research", admin: false).Line;

        var e = Should.Throw<FormatException>(() => ApiKeyTable.Parse($"{line}\nsk-secret\nxyz key acme research\n{line}\n{line} boss\n{line.Replace("acme", "a|b", StringComparison.Ordinal)}"));

        e.Message.ShouldContain("line 2: it has 1 fields");
        e.Message.ShouldContain("line 3: its first field is no SHA-256");
        e.Message.ShouldContain("line 4: its key is there twice");
        e.Message.ShouldContain("line 5: its fifth field is not 'admin'");
        e.Message.ShouldContain("line 6: key id, organization and team");
        e.Message.ShouldNotContain("sk-secret");
    }

    [Theory]
    [InlineData("", "team")]
    [InlineData("org", "a team")]
    [InlineData("org", "a:b")]
    public void Names_that_no_line_can_hold_are_refused(string organization, string team) =>
        Should.Throw<FormatException>(() => ApiKeyTable.Create(organization, team, admin: false));
}
