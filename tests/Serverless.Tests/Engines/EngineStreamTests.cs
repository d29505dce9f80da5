using System.Text;
using System.Text.Json;
using Serverless.Hosting.Engines.OpenAi;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Engines;

/// <summary>What an engine says of one choice, as the log has it.</summary>
public sealed class EngineStreamTests
{
    private static readonly ChoiceChunk[] Logged = [new(0, 0, [-1, -1], "Once up"), new(0, 2, [-1], "on")];

    [Fact]
    public void Text_held_back_is_logged_with_its_tokens_once_it_comes()
    {
        var stream = new EngineStream(0, [], 20, continues: true, []);

        stream.Take(Delta("a"), null, 1)!.TokenIds.Count.ShouldBe(1);
        stream.Take(Delta(""), null, 2).ShouldBeNull();
        var chunk = stream.Take(Delta("bc"), null, 3)!;

        (chunk.Position, chunk.TokenIds.Count, chunk.Text).ShouldBe((1, 2, "bc"));
        stream.Take(Delta(""), FinishReason.Length, null)!.TokenIds.ShouldBeEmpty();
        stream.HasEnded.ShouldBeTrue();
        stream.Take(Delta("more"), null, 9).ShouldBeNull();
    }

    [Fact]
    public void A_call_of_a_tool_is_logged_with_its_tokens()
    {
        var stream = new EngineStream(0, [], 20, continues: true, []);
        var call = EngineDelta.Read(JsonSerializer.SerializeToElement(new { delta = new { tool_calls = new[] { new { index = 0, id = "c", function = new { name = "f", arguments = "{" } } } } }));

        var chunk = stream.Take(call, null, 4)!;

        chunk.ToolCalls.ShouldBe([new ToolCallFragment(0, "c", "f", "{")]);
        chunk.TokenIds.Count.ShouldBe(4);
    }

    [Fact]
    public void Without_a_count_each_event_with_output_is_a_token()
    {
        var stream = new EngineStream(0, [], 20, continues: true, []);

        stream.Take(Delta(""), null, null).ShouldBeNull();
        stream.Take(Delta("a"), null, null)!.TokenIds.ShouldBe([ChoiceChunk.UnknownToken]);
        stream.Take(Delta("b"), null, null)!.Position.ShouldBe(1);
        stream.Tokens.ShouldBe(2);
    }

    [Fact]
    public void One_that_goes_on_begins_where_the_log_ends()
    {
        var stream = new EngineStream(0, [.. Logged, new ChoiceChunk(1, 0, [-1], "other")], 20, continues: true, []);

        (stream.Emitted, stream.EmittedTokens).ShouldBe(("Once upon", 3));
        var chunk = stream.Take(Delta(" a"), null, 1)!;
        (chunk.Position, chunk.Text).ShouldBe((3, " a"));
    }

    [Fact]
    public void A_stop_string_ends_it_wherever_it_broke_off()
    {
        var stream = new EngineStream(0, [], 20, continues: true, ["STOP"]);

        var begun = stream.Take(Delta("a ST"), null, 1)!;
        (begun.Text, Encoding.UTF8.GetString(begun.HeldBack.Span)).ShouldBe(("a ", "ST"));
        var end = stream.Take(Delta("OP b"), null, 2)!;
        (end.Text, end.Finish, stream.IsStopped).ShouldBe(("", FinishReason.Stop, true));

        var rest = new EngineStream(0, [begun], 20, continues: true, ["STOP"]);
        rest.Emitted.ShouldBe("a ST");
        rest.Take(Delta("OP b"), null, 1)!.Text.ShouldBe("");
        rest.HasEnded.ShouldBeTrue();

        var other = new EngineStream(0, [begun], 20, continues: true, ["STOP"]);
        other.Take(Delta("ART"), null, 1)!.Text.ShouldBe("START");
        other.Take(Delta(" S"), null, 2)!.Text.ShouldBe(" ");
        other.Take(Delta(""), FinishReason.Length, 2)!.Text.ShouldBe("S", "it was text after all");
    }

    [Fact]
    public void A_stop_string_is_found_again_where_it_begins_again()
    {
        var again = new EngineStream(0, [new ChoiceChunk(0, 0, [-1], "a ") { HeldBack = "ST"u8.ToArray() }], 20, continues: false, ["STOP"]);

        again.Take(Delta("a"), null, 1).ShouldBeNull();
        again.Take(Delta(" ST"), null, 2).ShouldBeNull();
        again.Take(Delta("OP b"), null, 3)!.Finish.ShouldBe(FinishReason.Stop);
    }

    [Fact]
    public void One_that_begins_again_says_the_same_which_is_passed_over()
    {
        var stream = new EngineStream(0, Logged, 20, continues: false, []);

        (stream.Emitted, stream.EmittedTokens).ShouldBe(("", 0));
        stream.Take(Delta("Once"), null, 1).ShouldBeNull();
        var chunk = stream.Take(Delta(" upon a"), null, 3)!;
        (chunk.Position, chunk.Text).ShouldBe((3, " a"));
        stream.Take(Delta(" time"), null, 4)!.TokenIds.Count.ShouldBe(1);
    }

    [Fact]
    public void One_that_begins_again_otherwise_is_refused()
    {
        var stream = new EngineStream(0, Logged, 20, continues: false, []);

        Should.Throw<EngineAnswerException>(() => stream.Take(Delta("Twice"), null, 1)).Message.ShouldContain("another than what its client has seen");
    }

    [Fact]
    public void A_thought_or_a_call_that_was_begun_is_not_gone_on_with()
    {
        new EngineStream(0, [new ChoiceChunk(0, 0, [-1], "") { Reasoning = "hm" }], 20, continues: true, []).IsUnrepeatable.ShouldBeTrue();
        new EngineStream(0, [new ChoiceChunk(0, 0, [-1], "") { Reasoning = "hm" }, new ChoiceChunk(0, 1, [], "") { Finish = FinishReason.Stop }], 20, continues: true, []).IsUnrepeatable.ShouldBeFalse();
        new EngineStream(0, Logged, 20, continues: true, []).IsUnrepeatable.ShouldBeFalse();
    }

    private static EngineDelta Delta(string text) => EngineDelta.Read(JsonSerializer.SerializeToElement(new { delta = new { content = text } }));
}
