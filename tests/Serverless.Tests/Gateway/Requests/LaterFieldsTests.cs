using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Options;
using Serverless.Batches;
using Serverless.Documents;
using Serverless.Gateway.Callbacks;
using Serverless.Gateway.Requests;
using Serverless.Requests;
using Shouldly;

namespace Serverless.Tests.Gateway.Requests;

/// <summary>Two releases side by side: what a later one wrote into a document, this one writes back.</summary>
public sealed class LaterFieldsTests
{
    private static readonly Owner Owner = new("acme", "research", "key");

    private readonly MemoryDocumentStore _documents = new(new TestClock());

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Of_a_batch()
    {
        var id = BatchId.New().Value;
        var key = new DocumentKey("batches", "acme:research", id);
        await SaveAsync(key, $$"""
            {"id":"{{id}}","owner":{"organization":"acme","team":"research","key":"key"},"endpoint":"/v1/completions","input_file_id":"file-1","completion_window":"24h","status":"InProgress",
             "created_at":"2026-01-01T00:00:00Z","expires_at":"2026-01-02T00:00:00Z","tomorrow":{"a":[1]},"progress":{"epoch":1,"total":2,"soon":"x"} }
            """);

        await new BatchDirectory(_documents, new TestClock()).UpdateAsync(Owner.Scope, id, batch => batch with { Status = BatchStatus.Finalizing, Progress = batch.Progress with { Epoch = 2 } }, Token);

        var saved = await ReadAsync(key);
        (saved["status"]!.GetValue<string>(), saved["progress"]!["epoch"]!.GetValue<int>()).ShouldBe(("Finalizing", 2));
        (saved["tomorrow"]!.ToJsonString(), saved["progress"]!["soon"]!.GetValue<string>()).ShouldBe(("""{"a":[1]}""", "x"));
    }

    [Fact]
    public async Task Of_a_request()
    {
        var records = new RequestRecords(_documents, Options.Create(new PromiseOptions()), new TestClock());
        var key = new DocumentKey("requests", "acme:research", "chatcmpl-1");
        await SaveAsync(key, """
            {"id":"chatcmpl-1","kind":"ChatCompletion","model":"tiny","owner":{"organization":"acme","team":"research","key":"key"},"created_at":"2026-01-01T00:00:00Z","deadline":"2026-01-02T00:00:00Z","shape":"","status":"Queued",
             "published":false,"refused":false,"tomorrow":1,"callback":{"url":"https://a.example/","status":"Pending","soon":2},
             "origin":{"source":"/s","id":"e","later_on":3,"message":{"fingerprint":"f","replies":[],"then":4}}}
            """);

        var stored = (await records.FindAsync(Owner, new RequestId("chatcmpl-1"), Token)).ShouldNotBeNull();
        var changed = stored.Record with { Published = true, Callback = stored.Record.Callback! with { Attempts = 7 }, Origin = stored.Record.Origin! with { Replied = true } };
        (await records.ReplaceAsync(stored, changed, Token)).ShouldBeTrue();

        var saved = await ReadAsync(key);
        saved["published"]!.GetValue<bool>().ShouldBeTrue();
        int[] later = [saved["tomorrow"]!.GetValue<int>(), saved["callback"]!["soon"]!.GetValue<int>(), saved["origin"]!["later_on"]!.GetValue<int>(), saved["origin"]!["message"]!["then"]!.GetValue<int>()];
        later.ShouldBe([1, 2, 3, 4]);
    }

    [Fact]
    public async Task Of_a_callback()
    {
        var outbox = new CallbackOutbox(_documents);
        var key = new DocumentKey("callbacks", "all", "chatcmpl-1");
        await SaveAsync(key, """{"request_id":"chatcmpl-1","owner":{"organization":"acme","team":"research","key":"key"},"since":"2026-01-01T00:00:00Z","due_at":"2026-01-01T00:00:00Z","attempts":0,"tomorrow":1}""");

        await outbox.ClaimAsync((await outbox.FindAsync("chatcmpl-1", Token)).ShouldNotBeNull(), DateTimeOffset.UnixEpoch, Token);

        var saved = await ReadAsync(key);
        (saved["due_at"]!.GetValue<DateTimeOffset>(), saved["tomorrow"]!.GetValue<int>()).ShouldBe((DateTimeOffset.UnixEpoch, 1));
    }

    private async Task SaveAsync(DocumentKey key, string json) => await _documents.SaveAsync(key, Encoding.UTF8.GetBytes(json), SaveCondition.Any, null, Token);

    private async Task<JsonObject> ReadAsync(DocumentKey key) => JsonSerializer.Deserialize<JsonObject>((await _documents.GetAsync(key, Token)).ShouldNotBeNull().Json.Span).ShouldNotBeNull();
}
