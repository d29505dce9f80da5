namespace Serverless.Inference.Tokenizers;

/// <summary>What an entry of a vocabulary is; the values are llama.cpp's.</summary>
internal enum VocabularyKind
{
    /// <summary>Text.</summary>
    Normal = 1,

    /// <summary>What stands for text that has no token.</summary>
    Unknown = 2,

    /// <summary>It steers the model and has no text.</summary>
    Control = 3,

    /// <summary>Text that is always this token, before anything is split.</summary>
    UserDefined = 4,

    /// <summary>Nothing.</summary>
    Unused = 5,

    /// <summary>A byte, written &lt;0x41&gt;.</summary>
    Byte = 6,
}
