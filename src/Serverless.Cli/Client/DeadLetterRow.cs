using System.Text.Json;

namespace Serverless.Cli.Client;

/// <summary>A dead letter as <c>GET /admin/dead-letters</c> tells it, and as it came; the body only where one was asked for.</summary>
internal sealed record DeadLetterRow(string Id, string Model, string Error, string Message, int Attempts, DateTimeOffset At, long Bytes, string? Body, JsonElement Json);
