namespace Serverless.Inference.Models;

/// <summary>Which numbers of a head turn together.</summary>
internal enum RotaryPairs
{
    /// <summary>2i and 2i + 1, as llama.cpp's conversion of the llama family lays them.</summary>
    Neighbours,

    /// <summary>i and i + n/2, as transformers lays them.</summary>
    Halves,
}
