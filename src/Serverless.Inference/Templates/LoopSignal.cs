namespace Serverless.Inference.Templates;

/// <summary>What a statement means for the loop around it.</summary>
internal enum LoopSignal
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>The next turn, at once.</summary>
    Continue,

    /// <summary>No further turn.</summary>
    Break,
}
