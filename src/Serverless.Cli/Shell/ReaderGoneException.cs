namespace Serverless.Cli.Shell;

/// <summary>Whoever read the output has enough: the command ends, and well.</summary>
internal sealed class ReaderGoneException() : Exception("Nobody reads the output any more.");
