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
        e.Message.ShouldContain("line 5: its field 5 is neither 'admin' nor 'lane=…'");
        e.Message.ShouldContain("line 6: key id, organization and team");
        e.Message.ShouldNotContain("sk-secret");
    }

    [Theory]
    [InlineData("", false, "interactive")]
    [InlineData(" admin", true, "interactive")]
    [InlineData(" lane=realtime", false, "realtime")]
    [InlineData(" admin lane=batch", true, "batch")]
    [InlineData(" lane=interactive admin", true, "interactive")]
    public void A_lines_rights_are_words_in_any_order_and_lines_of_old_still_hold(string words, bool admin, string lane)
    {
        var (key, line) = ApiKeyTable.Create("acme", "research", admin: false);

        var found = ApiKeyTable.Parse(line + words).Find(key)!;

        found.Admin.ShouldBe(admin);
        found.HighestLane.ShouldBe(lane switch { "realtime" => Lane.Realtime, "batch" => Lane.Batch, _ => Lane.Interactive });
    }

    [Theory]
    [InlineData("lane=fast", "its field 5 names no lane; write one of realtime, interactive, batch")]
    [InlineData("lane=", "names no lane")]
    [InlineData("admin admin", "its field 6 is neither")]
    [InlineData("lane=batch lane=batch", "its field 6 is neither")]
    [InlineData("lane=batch admin weight=3", "its field 7 is neither")]
    public void A_right_that_is_not_understood_is_an_error(string words, string fault) =>
        Should.Throw<FormatException>(() => ApiKeyTable.Parse($"{ApiKeyTable.Create("acme", "research", admin: false).Line} {words}")).Message.ShouldContain(fault);

    [Fact]
    public void A_key_id_is_one_teams_alone()
    {
        string Line(string id, string organization, string team) => ApiKeyTable.Create(organization, team, admin: false).Line.Split(' ')[0] + $" {id} {organization} {team}";

        ApiKeyTable.Parse($"{Line("ci", "acme", "research")}\n{Line("ci", "acme", "research")}").Count.ShouldBe(2, "an old and a new one");
        foreach (var other in new[] { Line("ci", "globex", "research"), Line("ci", "acme", "sales") })
        {
            Should.Throw<FormatException>(() => ApiKeyTable.Parse($"{Line("ci", "acme", "research")}\n{other}")).Message.ShouldContain("line 2: its key id 'ci' is another");
        }
    }

    [Fact]
    public void A_key_is_made_with_its_highest_lane()
    {
        var (key, line) = ApiKeyTable.Create("acme", "research", admin: true, "realtime");

        ApiKeyTable.Parse(line).Find(key)!.HighestLane.ShouldBe(Lane.Realtime);
        Should.Throw<FormatException>(() => ApiKeyTable.Create("acme", "research", admin: true, "fast")).Message.ShouldContain("'fast' is no lane");
    }

    [Theory]
    [InlineData("", "team")]
    [InlineData("org", "a team")]
    [InlineData("org", "a:b")]
    public void Names_that_no_line_can_hold_are_refused(string organization, string team) =>
        Should.Throw<FormatException>(() => ApiKeyTable.Create(organization, team, admin: false));
}
