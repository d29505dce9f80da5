using System.Text;
using Serverless.Hosting.Engines.InProcess;
using Serverless.Hosting.Tokens;
using Serverless.Inference.Batching;
using Serverless.Requests;
using Serverless.Tests.Dispatching;
using Serverless.Tests.Inference;
using Shouldly;

namespace Serverless.Tests.Worker;

/// <summary>Workers on the real model that are lost in the middle of an answer.</summary>
public sealed class ResumeTests
{
    private const string Prompt = """{"model":"tiny","messages":[{"role":"user","content":"Tell me a short story about a lighthouse and a storm."}],"temperature":0}""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_answer_whose_worker_is_killed_again_and_again_is_the_undisturbed_answer()
    {
        var undisturbed = await AnswerAsync(kills: []);

        var disturbed = await AnswerAsync(kills: [1, 7, 20]);

        undisturbed.Tokens.Count.ShouldBe(40);
        disturbed.Tokens.ShouldBe(undisturbed.Tokens);
        disturbed.Text.ShouldBe(undisturbed.Text);
        disturbed.Attempts.ShouldBeGreaterThan(1);
    }

    /// <summary>Serves one request through dispatcher and workers; a worker is lost when so many tokens are in the log.</summary>
    private static async Task<(List<int> Tokens, string Text, int Attempts)> AnswerAsync(int[] kills)
    {
        await using var scene = new DispatcherScene();
        var model = SharedModel.Model;
        var options = new InferenceEngineOptions { MaxSequences = 4, KvTokens = 2048, ContextTokens = 1024 };
        await using var engine = new InferenceEngine(model, options, TimeProvider.System);
        var inProcess = new InProcessEngine(model, engine, options, PromptReader.Load(model.Tokenizer, model.ChatTemplate));
        var request = await scene.SubmitAsync(request => request with { Body = Encoding.UTF8.GetBytes(Prompt), MaxOutputTokens = 40, PromptTokens = 40 });

        var (tokens, text, attempts, killed) = (new List<int>(), new StringBuilder(), 0, 0);
        var worker = new KillableWorker(scene, inProcess, "w-0");
        await foreach (var logged in scene.Log.FollowAsync(request.Id, 0, Token))
        {
            if (logged.Event is RequestEvent.Started) attempts++;
            if (logged.Event is RequestEvent.Failed or RequestEvent.Cancelled) Assert.Fail($"{logged.Event}");
            if (logged.Event is not RequestEvent.Chunk chunk) continue;

            foreach (var choice in chunk.Choices)
            {
                choice.Position.ShouldBe(tokens.Count);
                tokens.AddRange(choice.TokenIds);
                text.Append(choice.Text);
            }

            if (killed == kills.Length || tokens.Count < kills[killed]) continue;
            await worker.DisposeAsync();
            worker = new KillableWorker(scene, inProcess, $"w-{++killed}");
        }

        await worker.DisposeAsync();
        return (tokens, text.ToString(), attempts);
    }
}
