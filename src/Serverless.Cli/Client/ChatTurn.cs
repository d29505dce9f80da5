namespace Serverless.Cli.Client;

/// <summary>One message of a conversation.</summary>
internal sealed record ChatTurn(string Role, string Content);
