using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Hosting;
using Serverless.Errors;
using Serverless.Events;
using Serverless.Gateway.Access;
using Serverless.Gateway.Admission;
using Serverless.Gateway.OpenAI;
using Serverless.Gateway.Requests;
using Serverless.Hosting.Dapr;

namespace Serverless.Gateway.EventAdmin;

/// <summary>Events for operators, who see prompts and answers in them: <c>GET /admin/events</c>, those that this gateway takes and publishes, a JSON line each as they pass; <c>POST /admin/events/{topic}</c>, one more.</summary>
internal static class EventRoutes
{
    private const string Route = "/admin/events";
    private const int LongestWait = 60;

    /// <summary>A line without an event, so that whoever stands between does not take the silence for an end.</summary>
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(15);

    private static readonly byte[] Newline = [(byte)'\n'];

    /// <summary>Maps them on a group that lets operators in and nobody else.</summary>
    public static void MapEvents(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(Route, TailAsync);
        routes.MapPost(Route + "/{topic}", TakeAsync);
    }

    private static async Task TailAsync(HttpContext http, EventTap tap, IHostApplicationLifetime lifetime, TimeProvider time)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, lifetime.ApplicationStopping);
        using var watch = tap.Watch([.. http.Request.Query["topic"].OfType<string>()]);
        http.Response.ContentType = "application/x-ndjson";
        http.Response.Headers.CacheControl = "no-store";
        try
        {
            await http.Response.BodyWriter.WriteAsync(Newline, end.Token); // it stands: whoever asked may go on
            while (true)
            {
                if (!await WaitAsync(watch, time, end.Token)) await http.Response.BodyWriter.WriteAsync(Newline, end.Token);
                while (watch.TryRead(out var seen)) await WriteAsync(http.Response, seen, end.Token);
            }
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // Whoever looked on has gone, or this gateway goes.
        }
    }

    private static async Task<bool> WaitAsync(EventWatch watch, TimeProvider time, CancellationToken cancellationToken)
    {
        using var beat = new CancellationTokenSource(Beat, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(beat.Token, cancellationToken);
        try
        {
            await watch.WaitAsync(either.Token);
            return true;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private static async Task WriteAsync(HttpResponse response, SeenEvent seen, CancellationToken cancellationToken)
    {
        var extensions = new Dictionary<string, string>(seen.Event.Extensions, StringComparer.Ordinal) { ["topic"] = seen.Topic };
        if (seen.Missed > 0) extensions["missed"] = seen.Missed.ToString(CultureInfo.InvariantCulture);
        var line = CloudEventJson.Encode(seen.Event with { Extensions = extensions });
        for (var i = 0; i < line.Length; i++) if (line[i] is (byte)'\n' or (byte)'\r') line[i] = (byte)' '; // of data that its sender wrote over several lines: within JSON's texts there are none
        await response.BodyWriter.WriteAsync(line, cancellationToken);
        await response.BodyWriter.WriteAsync(Newline, cancellationToken);
    }

    private static async Task TakeAsync(HttpContext http, string topic, RequestBody bodies, EventDesk desk)
    {
        var wait = ReadWait(http.Request.Query["wait"]);
        var body = await bodies.ReadAsync(http.Request, Caller.KeyOf(http).Owner, http.RequestAborted);
        var record = await desk.TakeAsync(topic, body, wait, http.RequestAborted);
        if (!record.HasEnded) http.Response.StatusCode = StatusCodes.Status202Accepted;
        await JsonAnswer.SendAsync(http, RequestObject.Encode(record), http.RequestAborted);
    }

    private static TimeSpan ReadWait(string? text) => text switch
    {
        null => TimeSpan.Zero,
        _ when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds <= LongestWait => TimeSpan.FromSeconds(seconds),
        _ => throw new ServingException(new ServingFault(ServingError.InvalidRequest, string.Create(CultureInfo.InvariantCulture, $"'wait' must be seconds from 0 to {LongestWait}; leave it out to be answered at once."), "wait")),
    };
}
