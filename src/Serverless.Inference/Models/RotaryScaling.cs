namespace Serverless.Inference.Models;

/// <summary>How positions beyond those of the training are brought into its reach.</summary>
public enum RotaryScaling
{
    /// <summary>They are not.</summary>
    None,

    /// <summary>All angles are divided by the factor.</summary>
    Linear,

    /// <summary>Slow frequencies are divided by the factor, fast ones are left, with a ramp between (Llama 3.1).</summary>
    Llama3,

    /// <summary>The same by the number of turns within the trained context, and attention is sharpened (Peng et al., 2023).</summary>
    Yarn,
}
