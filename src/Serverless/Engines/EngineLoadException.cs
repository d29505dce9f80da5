namespace Serverless.Engines;

/// <summary>An engine that could not be loaded.</summary>
public sealed class EngineLoadException(string message, Exception? inner = null) : Exception(message, inner);
