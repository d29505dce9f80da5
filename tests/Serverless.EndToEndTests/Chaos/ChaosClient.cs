using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Serverless.Errors;
using Serverless.Events;

namespace Serverless.EndToEndTests.Chaos;

/// <summary>One request and its client, who tries again what may be tried again, at the other gateway, until it is answered or patience is over.</summary>
internal sealed class ChaosClient(ChaosFleet fleet, ChaosResults results, ChaosLedger ledger, HttpClient http, ChaosSettings settings, Random random, int number)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    private int _moves;

    /// <summary>Half stream, half of these resumably; of the others some take an id and some are events.</summary>
    private ChaosKind Kind => (number % 8) switch
    {
        0 or 4 => ChaosKind.Stream,
        2 or 6 => ChaosKind.ResumableStream,
        1 or 5 => ChaosKind.Whole,
        7 => ChaosKind.Event,
        _ => ChaosKind.Promised,
    };

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var kind = Kind;
        var tokens = random.Next(settings.Engine.OutputTokens / 4, settings.Engine.OutputTokens + 1);
        using var patience = new CancellationTokenSource(settings.Patience, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        var last = "nothing";
        try
        {
            while (true)
            {
                var tried = await TryAsync(kind, tokens, either.Token);
                if (tried.Served) ledger.Serve(kind);
                if (tried.Violation is { } violation) ledger.Violate(number, kind, violation);
                if (tried.Retry is null) return;

                last = tried.Retry;
                ledger.Fail(last);
                _moves++;
                await RealTime.PassAsync(Pause, either.Token);
            }
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested)
        {
            ledger.Violate(number, kind, $"was not served within {settings.Patience.TotalSeconds:F0} s; its last failure was: {last}");
        }
    }

    private async Task<ChaosTry> TryAsync(ChaosKind kind, int tokens, CancellationToken cancellationToken)
    {
        try
        {
            return kind switch
            {
                ChaosKind.Whole => await AskAsync(tokens, cancellationToken),
                ChaosKind.Promised => await TakeIdAsync(tokens, cancellationToken),
                ChaosKind.Event => await PublishAsync(tokens, cancellationToken),
                _ => await StreamAsync(tokens, kind == ChaosKind.ResumableStream, cancellationToken),
            };
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            return ChaosTry.Again("connection");
        }
    }

    private async Task<ChaosTry> AskAsync(int tokens, CancellationToken cancellationToken)
    {
        using var answer = await SendAsync(HttpMethod.Post, "/v1/chat/completions", Body(tokens, false), null, cancellationToken);
        var text = await answer.Content.ReadAsStringAsync(cancellationToken);
        return answer.StatusCode == HttpStatusCode.OK ? Judge(JsonNode.Parse(text), tokens) : ChaosTry.Refused((int)answer.StatusCode, text);
    }

    private async Task<ChaosTry> TakeIdAsync(int tokens, CancellationToken cancellationToken)
    {
        using var answer = await SendAsync(HttpMethod.Post, "/v1/chat/completions", Body(tokens, false), random.Next(2) == 0 ? "respond-async" : "respond-async, wait=1", cancellationToken);
        var text = await answer.Content.ReadAsStringAsync(cancellationToken);
        if (answer.StatusCode == HttpStatusCode.OK) return Judge(JsonNode.Parse(text), tokens);
        if (answer.StatusCode != HttpStatusCode.Accepted) return ChaosTry.Refused((int)answer.StatusCode, text);

        var id = JsonNode.Parse(text)!["id"]!.GetValue<string>();
        while (true)
        {
            _moves++;
            await RealTime.PassAsync(Pause, cancellationToken);
            if (await ReadAsync(id, cancellationToken) is not { } read) continue;

            var end = ChaosResults.Judge(read, tokens);
            if (end.Served) results.Promised(id, read["status"]!.GetValue<string>());
            if (end.Retry is null) return end;
        }
    }

    /// <summary>The request's record, from whichever gateway answers.</summary>
    private async Task<JsonNode?> ReadAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            using var answer = await SendAsync(HttpMethod.Get, $"/v1/requests/{id}", null, null, cancellationToken);
            var text = await answer.Content.ReadAsStringAsync(cancellationToken);
            if (answer.StatusCode == HttpStatusCode.OK) return JsonNode.Parse(text);
            if (ChaosTry.Refused((int)answer.StatusCode, text).Violation is { } violation) ledger.Violate(number, ChaosKind.Promised, $"{id} was promised, but reading it {violation}");
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            // That gateway is away; the other one is asked next.
        }

        return null;
    }

    private async Task<ChaosTry> PublishAsync(int tokens, CancellationToken cancellationToken)
    {
        var id = string.Create(CultureInfo.InvariantCulture, $"order-{settings.Seed}-{number}");
        var result = results.Await(id);
        var asked = new CloudEvent
        {
            Id = id, Source = ChaosResults.Source, Type = "dev.serverless.request", Data = Encoding.UTF8.GetBytes($$"""{"endpoint":"/v1/chat/completions","body":{{Body(tokens, false)}}}"""),
        };
        while (true)
        {
            try
            {
                await fleet.Neighbour.Bus.PublishAsync(EventTopics.Requests, asked, cancellationToken);
            }
            catch (ServingException)
            {
                ledger.Fail("publish");
                await RealTime.PassAsync(Pause, cancellationToken);
                continue;
            }

            // daprd may say that the broker has it when it has not, so whoever sends it waits for the result and not for daprd.
            await Task.WhenAny(result, RealTime.PassAsync(settings.SentAgain, cancellationToken));
            cancellationToken.ThrowIfCancellationRequested();
            if (result.IsCompleted) return ChaosResults.Judge(await result, tokens);

            ledger.Fail("no result yet, sent again");
        }
    }

    private async Task<ChaosTry> StreamAsync(int tokens, bool resumable, CancellationToken cancellationToken)
    {
        var stream = new ChaosStream(ChaosEngine.Text(tokens));
        using (var answer = await SendAsync(HttpMethod.Post, "/v1/chat/completions", Body(tokens, true), resumable ? "resume=60" : null, cancellationToken))
        {
            if (answer.StatusCode != HttpStatusCode.OK) return ChaosTry.Refused((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(cancellationToken));
            if (await stream.ReadAsync(answer, cancellationToken) is not { Retry: not null } end) return stream.End!.Value;
            if (!resumable || stream.Id is null || end.Retry != ChaosStream.Broken) return end;
        }

        return await ResumeAsync(stream, cancellationToken);
    }

    private async Task<ChaosTry> ResumeAsync(ChaosStream stream, CancellationToken cancellationToken)
    {
        while (true)
        {
            ledger.Fail("stream broken, gone on with");
            _moves++;
            await RealTime.PassAsync(Pause, cancellationToken);
            try
            {
                using var answer = await SendAsync(HttpMethod.Get, $"/v1/requests/{stream.Id}/events", null, null, cancellationToken, stream.LastEventId);
                if (answer.StatusCode != HttpStatusCode.OK)
                {
                    var refused = ChaosTry.Refused((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(cancellationToken));
                    if (refused.Violation is { } violation) return ChaosTry.Wrong($"{stream.Id} was being streamed, but going on with it {violation}");
                    continue;
                }

                if (await stream.ReadAsync(answer, cancellationToken) is { Retry: ChaosStream.Broken }) continue;
                return stream.End!.Value;
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException)
            {
                // That gateway is away; the other one is asked next.
            }
        }
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, string? body, string? prefer, CancellationToken cancellationToken, string? lastEventId = null)
    {
        using var request = new HttpRequestMessage(method, new Uri(fleet.Addresses[(number + _moves) % ChaosFleet.Gateways], path));
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        if (body is not null) request.Headers.Add("X-Request-Timeout", settings.RequestTimeout.TotalSeconds.ToString("F0", CultureInfo.InvariantCulture));
        if (prefer is not null) request.Headers.Add("Prefer", prefer);
        if (lastEventId is not null) request.Headers.Add("Last-Event-ID", lastEventId);
        return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
    }

    private static ChaosTry Judge(JsonNode? answer, int tokens)
    {
        var text = answer?["choices"]?[0]?["message"]?["content"]?.GetValue<string>();
        return text == ChaosEngine.Text(tokens) ? ChaosTry.Done : ChaosTry.Wrong($"got another text than an undisturbed run: '{text}' for '{ChaosEngine.Text(tokens)}'");
    }

    private string Body(int tokens, bool stream) =>
        JsonSerializer.Serialize(new { model = ChaosFleet.Model, messages = new[] { new { role = "user", content = $"Count, for request {number}." } }, temperature = 0, max_tokens = tokens, stream });
}
