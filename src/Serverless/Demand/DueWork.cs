namespace Serverless.Demand;

/// <summary>Pending work that nobody waits for, by when it must be done.</summary>
/// <param name="Due">Its deadline; of several, the earliest.</param>
/// <param name="Requests">How many.</param>
/// <param name="PromptTokens">Their prompt tokens.</param>
/// <param name="OutputTokens">Their expected output tokens.</param>
public readonly record struct DueWork(DateTimeOffset Due, int Requests, long PromptTokens, long OutputTokens);
